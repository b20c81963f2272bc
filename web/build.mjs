// Bundles styles, scripts and fonts into assets/dist, which the program embeds.
// Usage: node build.mjs [--watch]
import { copyFile, mkdir, readdir, stat, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const src = join(here, "assets/src");
const dist = join(here, "assets/dist");
const fonts = join(here, "node_modules/@fontsource-variable");

const copies = [
  [join(fonts, "inter/files/inter-latin-wght-normal.woff2"), "inter.woff2"],
  [join(fonts, "inter/files/inter-latin-ext-wght-normal.woff2"), "inter-ext.woff2"],
  [join(fonts, "jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2"), "mono.woff2"],
  [join(src, "favicon.svg"), "favicon.svg"],
  [join(src, "manifest.webmanifest"), "manifest.webmanifest"],
];

const options = {
  entryPoints: {
    app: join(src, "js/app.js"),
    status: join(src, "js/status.js"),
    sw: join(src, "js/sw.js"),
    style: join(src, "css/app.css"),
    public: join(src, "css/status.css"),
    page: join(src, "css/page.css"),
    desk: join(src, "js/desk.js"),
    window: join(src, "css/desk.css"),
  },
  outdir: dist,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome120", "firefox121", "safari17"],
  external: ["*.woff2"],
  legalComments: "eof",
  logLevel: "warning",
  // style.css -> app.css, public.css -> status.css and window.css -> desk.css, so that script and style share a name.
  plugins: [{
    name: "names",
    setup(build) {
      build.onEnd(async (result) => {
        if (result.errors.length) return;
        await copyFile(join(dist, "style.css"), join(dist, "app.css"));
        await copyFile(join(dist, "public.css"), join(dist, "status.css"));
        await copyFile(join(dist, "window.css"), join(dist, "desk.css"));
        await rm(join(dist, "style.css"));
        await rm(join(dist, "window.css"));
        await rm(join(dist, "public.css"));
      });
    },
  }],
};

await mkdir(dist, { recursive: true });
for (const [from, to] of copies) await copyFile(from, join(dist, to));

if (process.argv.includes("--watch")) {
  const context = await esbuild.context(options);
  await context.watch();
} else {
  await esbuild.build(options);
  for (const name of (await readdir(dist)).sort()) {
    if (name === ".keep") continue;
    console.log(String((await stat(join(dist, name))).size).padStart(8), name);
  }
}
