// The part of the package `vega` that vega-lite imports.
export { hasOwnProperty, isObject, isString, stringValue } from "vega-util";
