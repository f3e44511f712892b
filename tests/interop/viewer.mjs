// node viewer.mjs JOB.json OUT: drives the viewer's page (or the served one) and takes pictures.
// JOB: {url, size: [w, h], steps: [{name, script?, keys?: {label, key, times}, wait?, clip?}]}.
// A step's script is evaluated in the page; its value goes to results.json.
import fs from "node:fs";
import path from "node:path";
import { launch, openPage } from "./browser.mjs";

const job = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const out = process.argv[3];
const { browser, close } = await launch();
const values = {};
try {
  const { page, errors } = await openPage(browser, job.url, job.size);
  for (const step of job.steps) {
    if (step.waitFor) await page.waitForFunction(step.waitFor, { timeout: 120000, polling: 200 });
    if (step.script) values[step.name] = await page.evaluate(`(async () => {\n${step.script}\n})()`);
    if (step.keys) {
      const { label, key, times } = step.keys;
      await page.evaluate((text) => {
        const holders = [...document.querySelectorAll("label")].filter((l) => l.textContent.trim() === text);
        let row = holders[0];
        while (row && !row.querySelector('[role="slider"]')) row = row.parentElement;
        row.querySelector('[role="slider"]').focus();
      }, label);
      for (let k = 0; k < times; k++) await page.keyboard.press(key);
    }
    await new Promise((done) => setTimeout(done, step.wait ?? 300));
    if (step.picture !== false) {
      const target = step.selector ? await page.$(step.selector) : page;
      await target.screenshot({ path: path.join(out, `${step.name}.png`) });
    }
  }
  values.errors = errors;
} finally {
  await close();
}
fs.writeFileSync(path.join(out, "results.json"), JSON.stringify(values));
