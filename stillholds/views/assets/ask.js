// The three questions of the inbox, each in a dialog; each gives what was answered, or nothing.
export const RELATIONS = { s: "supports", c: "contradicts", q: "qualifies", e: "extends", p: "supersedes" };
const REASONS = ["about another subject", "by another method", "in another regime", "says nothing new"];
const TITLE = "in-asked", FIELD = "in-answer"; // there is one dialog at a time

function ask(host, title, fields) {
  return new Promise((answer) => {
    const box = document.createElement("dialog");
    box.className = "in-ask";
    box.setAttribute("role", "dialog");
    box.setAttribute("aria-labelledby", TITLE);
    fields(box, (value) => { box.close(); box.remove(); answer(value); });
    const label = Object.assign(document.createElement(box.querySelector("input") ? "label" : "p"), { id: TITLE, textContent: title });
    if (label.htmlFor !== undefined) label.htmlFor = FIELD;
    box.prepend(label);
    box.addEventListener("close", () => { box.remove(); answer(null); });
    box.addEventListener("keydown", (event) => event.stopPropagation());
    host.append(box);
    box.showModal();
    box.querySelector("input, button").focus();
  });
}

function typed(box, done, field, presets, take) {
  const input = Object.assign(document.createElement("input"), { id: FIELD, required: true, ...field });
  const taken = () => { // the browser says what is wrong with it
    if (input.type === "text") input.value = input.value.trim();
    if (input.reportValidity()) done(input.value);
  };
  const line = document.createElement("div");
  line.append(...presets.map((preset) => button(preset, () => done(preset))), button(take, taken));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { event.preventDefault(); taken(); }
  });
  box.append(input, line);
}

function button(text, click, key) {
  const one = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  if (key) one.append(Object.assign(document.createElement("kbd"), { textContent: ` ${key}` }));
  one.addEventListener("click", click);
  return one;
}

export const askReason = (host) => ask(host, "Why is it nothing to this claim?", (box, done) =>
  typed(box, done, { type: "text", maxLength: 500 }, REASONS, "Dismiss"));

export const askDays = (host) => ask(host, "Days until it comes back", (box, done) =>
  typed(box, done, { type: "number", min: 1, max: 3650, step: 1, value: 14 }, [], "Put off"));

export const askRelation = (host) => ask(host, "Attach as", (box, done) => {
  const line = document.createElement("div");
  for (const [key, name] of Object.entries(RELATIONS)) line.append(button(name, () => done(name), key));
  box.append(line);
  box.addEventListener("keydown", (event) => RELATIONS[event.key] && done(RELATIONS[event.key]));
});
