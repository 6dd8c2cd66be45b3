// One classic script without imports, as `make viewer` writes it.
import { defineConfig } from "vite";

export default defineConfig({
  build: {
    target: "es2022",
    outDir: "out",
    modulePreload: false,
    lib: { entry: "source/main.ts", formats: ["iife"], name: "sightlineViewer", fileName: () => "viewer.js" },
  },
});
