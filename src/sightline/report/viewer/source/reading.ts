// What a map says of a cell or a row, in words that are shown below it and read out.
import { shown } from "./data.ts";
import type { Cell, Scene } from "./view.ts";

const SIDES = { output: "output", source: "input" };
const LARGEST = 5; // weights of a row

/** What is known of a cell. */
export function cellWords({ inspection, map, grid, rows, columns }: Scene, cell: Cell): string {
  const { output } = inspection;
  const probability = map.rows === "output" ? output.probability[cell.row] : null;
  const row = `${quoted(rows[cell.row])} (${SIDES[map.rows]} ${cell.row + 1}${probability === null || probability === undefined ? "" : `, probability ${shown(probability)}`})`;
  const read = columns === output.read_labels;
  const column = `${quoted(columns[cell.column])} (${read ? "read at position" : SIDES[map.columns]} ${cell.column + 1})`;
  if (grid.isSkipped(cell.row, cell.column)) return `${column} on ${row}: skipped`;
  const value = grid.at(cell.row, cell.column);
  const rank = value === 0 || grid.columns < 2 ? "" : `, rank ${grid.rank(cell.row, cell.column)} of ${grid.columns} in its row`;
  return `${column} on ${row}: ${shown(value)}${rank}`;
}

/** The largest weights of a row. */
export function rowWords({ grid, rows, columns }: Scene, row: number): string {
  const parts = grid.heaviest(row, LARGEST).map((column) => `${quoted(columns[column])} ${shown(grid.at(row, column))}`);
  return `${quoted(rows[row])}, largest: ${parts.join(", ") || "all are 0"}`;
}

/** A label in quotation marks, kept apart from the direction of the text around it. */
function quoted(label: string): string {
  return `‘\u2068${label}\u2069’`;
}
