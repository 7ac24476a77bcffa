// Decides how the dashboard becomes files: relative addresses, hashed names, charts apart from the first load.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    outDir: process.env.SKILLPLAN_STATIC ?? "../static",
    emptyOutDir: true,
    target: "es2022",
    rollupOptions: { input: ["index.html", "docs.html"] },
    // A picture in a style sheet would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
