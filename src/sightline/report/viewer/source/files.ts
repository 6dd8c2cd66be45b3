// A drawing as a file, which is saved or copied.
import { LIGHT } from "./colours.ts";
import { make } from "./page.ts";
import { CanvasSurface, type Surface, SvgSurface } from "./surface.ts";

export type FileKind = "svg" | "png";

/** The file of what `draw` draws, on light paper. */
export function picture(kind: FileKind, width: number, height: number, title: string, draw: (surface: Surface) => void): Promise<Blob> {
  if (kind === "svg") {
    const surface = new SvgSurface(width, height, title);
    draw(surface);
    return Promise.resolve(new Blob([surface.file()], { type: "image/svg+xml" }));
  }
  const canvas = document.createElement("canvas");
  draw(new CanvasSurface(canvas, width, height, LIGHT, 2));
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("the picture is too large"))), "image/png"));
}

export function download(blob: Blob, name: string): void {
  const link = make("a", { download: name });
  link.href = URL.createObjectURL(blob);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** An SVG is copied as text, a PNG as a picture; rejects where the browser does not allow it. */
export async function copy(kind: FileKind, file: Promise<Blob>): Promise<void> {
  if (kind === "svg") await navigator.clipboard.writeText(await (await file).text());
  else await navigator.clipboard.write([new ClipboardItem({ "image/png": file })]);
}
