// node render.mjs JOBS.json OUT: opens files in Babylon.js and three.js, writes pictures and facts.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { launch, openPage, serve } from "./browser.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const jobs = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const out = process.argv[3];
for (const name of new Set(jobs.map((job) => job.page))) {
  await build({
    entryPoints: [path.join(here, `${name}_page.mjs`)],
    bundle: true,
    format: "esm",
    splitting: false,
    outfile: path.join(out, `${name}.js`),
    logLevel: "error",
    minifySyntax: false, // Babylon.js runs a function from its source text in a worker
  });
  fs.writeFileSync(
    path.join(out, `${name}.html`),
    `<!doctype html><link rel="icon" href="data:,"><style>body{margin:0}</style><canvas></canvas><script type="module" src="${name}.js"></script>`,
  );
}
const server = await serve([out, ...new Set(jobs.map((job) => path.dirname(job.file)))]);
const root = `http://127.0.0.1:${server.address().port}`;
const { browser, close } = await launch();
const results = [];
try {
  for (const job of jobs) {
    const { page, errors } = await openPage(browser, `${root}/${job.page}.html`, [job.args.view.width, job.args.view.height]);
    await page.waitForFunction("window.ready === true", { timeout: 120000 });
    const args = { ...job.args, url: `${root}/${path.basename(job.file)}` };
    const result = await page.evaluate((a) => window.show(a), args);
    const save = (picture, name) => fs.writeFileSync(path.join(out, name), Buffer.from(picture.split(",")[1], "base64"));
    if (result.picture) save(result.picture, `${job.name}.png`);
    (result.frames ?? []).forEach((frame, k) => {
      save(frame.picture, `${job.name}_${k}.png`);
      delete frame.picture;
    });
    delete result.picture;
    results.push({ name: job.name, errors, ...result });
    await page.close();
  }
} finally {
  await close();
  server.close();
}
fs.writeFileSync(path.join(out, "results.json"), JSON.stringify(results));
