// Khronos' glTF validator on every file given; prints one JSON object: file -> issues.
import fs from "node:fs";
import path from "node:path";
import validator from "gltf-validator";

const reports = {};
for (const file of process.argv.slice(2)) {
  const report = await validator.validateBytes(new Uint8Array(fs.readFileSync(file)), {
    uri: path.basename(file),
    maxIssues: 1000,
    externalResourceFunction: (uri) =>
      fs.promises.readFile(path.join(path.dirname(file), decodeURIComponent(uri))).then((b) => new Uint8Array(b)),
  });
  reports[path.basename(file)] = report.issues;
}
console.log(JSON.stringify(reports));
