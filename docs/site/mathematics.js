// A line of JSON in, a line of JSON out: {formula, display} -> {html} or {error}.
const katex = require("katex");
const lines = require("readline").createInterface({ input: process.stdin });
lines.on("line", (line) => {
  const { formula, display } = JSON.parse(line);
  let answer;
  try {
    answer = { html: katex.renderToString(formula, { displayMode: display, throwOnError: true, strict: "error" }) };
  } catch (error) {
    answer = { error: String(error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
