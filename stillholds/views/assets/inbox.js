// The inbox under the keys: moving and picking happen here at once; what changes the library is sent as one act.
// The rows are drawn by the page as HTML with `data-pair`; here they only get the classes `now`, `picked` and `gone`.
const RELATIONS = { s: "supports", c: "contradicts", q: "qualifies", e: "extends", p: "supersedes" };
const REASONS = ["about another subject", "by another method", "in another regime", "says nothing new"];
const live = new WeakMap();
let at = null; // the pair that is at hand, kept when the rows are drawn anew
let then = null; // where to go when that one is gone
let last = null; // the first pair of the last act, which undo brings back
let seen = ""; // the last outcome that was scrolled to

const rows = () => [...document.querySelectorAll(".in-row")];
const here = () => document.querySelector(".in-row.now");
const picked = () => [...document.querySelectorAll(".in-row.picked")];

function show(row, scroll = true) {
  rows().forEach((one) => one.classList.toggle("now", one === row));
  at = row?.dataset.pair ?? null;
  if (scroll) row?.scrollIntoView({ block: "nearest" });
}

function move(by) {
  const all = rows(), next = all.indexOf(here()) + by;
  if (all[next]) show(all[next]);
}

function settle() { // the rows may have been drawn anew
  const all = rows();
  if (all.length && !here()) {
    const find = (pair) => all.find((one) => one.dataset.pair === pair);
    show(find(at) ?? find(then) ?? all[0], false);
  }
  const done = document.querySelector(".in-done");
  if (done && done.dataset.stamp !== seen) {
    seen = done.dataset.stamp;
    document.querySelectorAll(".in-row.gone").forEach((one) => one.classList.remove("gone")); // what is left was not taken
    done.scrollIntoView({ block: "nearest" });
  }
}

function ask(host, title, fields) { // one question in a dialog; gives what was answered, or nothing
  return new Promise((answer) => {
    const box = document.createElement("dialog");
    box.className = "in-ask";
    box.setAttribute("role", "dialog");
    const label = document.createElement("label");
    label.textContent = title;
    box.append(label);
    fields(box, (value) => { box.close(); answer(value); });
    box.addEventListener("close", () => { box.remove(); answer(null); });
    box.addEventListener("keydown", (event) => event.stopPropagation());
    host.append(box);
    box.showModal();
    box.querySelector("input, button").focus();
  });
}

function typed(box, done, input, presets, take) {
  Object.assign(input, { required: true });
  const line = document.createElement("div");
  for (const preset of presets) line.append(button(preset, () => done(preset)));
  line.append(button(take, () => input.value.trim() && done(input.value.trim())));
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && input.value.trim()) { event.preventDefault(); done(input.value.trim()); }
  });
  box.append(input, line);
}

function button(text, click, key) {
  const one = document.createElement("button");
  one.type = "button";
  one.textContent = text;
  if (key) { const cap = document.createElement("kbd"); cap.textContent = ` ${key}`; one.append(cap); }
  one.addEventListener("click", click);
  return one;
}

const askReason = (host) => ask(host, "Why is it nothing to this claim?", (box, done) =>
  typed(box, done, Object.assign(document.createElement("input"), { type: "text", maxLength: 500 }), REASONS, "Dismiss"));
const askDays = (host) => ask(host, "Days until it comes back", (box, done) =>
  typed(box, done, Object.assign(document.createElement("input"), { type: "number", min: 1, max: 3650, value: 14 }), [], "Put off"));
const askRelation = (host) => ask(host, "Attach as", (box, done) => {
  const line = document.createElement("div");
  for (const [key, name] of Object.entries(RELATIONS)) line.append(button(name, () => done(name), key));
  box.append(line);
  box.addEventListener("keydown", (event) => RELATIONS[event.key] && done(RELATIONS[event.key]));
});

export default function ({ parentElement, setTriggerValue, data }) {
  live.get(parentElement)?.();
  const targets = () => (picked().length ? picked() : [here()].filter(Boolean)).filter((one) => !one.classList.contains("gone"));
  const send = (act, more = {}) => {
    const meant = targets();
    if (!meant.length || data.frozen) return;
    const all = rows(), end = all.indexOf(meant[meant.length - 1]);
    const left = (one) => !meant.includes(one);
    then = (all.slice(end + 1).find(left) ?? all.slice(0, end).reverse().find(left))?.dataset.pair ?? null;
    last = meant[0].dataset.pair;
    meant.forEach((one) => one.classList.add("gone"));
    setTriggerValue("act", JSON.stringify({ act, pairs: meant.map((one) => one.dataset.pair.split(" ")), ...more }));
  };
  const attach = async (relation) => {
    const guesses = new Set(targets().map((one) => one.dataset.guess ?? ""));
    const guess = guesses.size === 1 ? [...guesses][0] : "";
    const said = relation || guess || (await askRelation(parentElement));
    if (said) send("attach", { relation: said });
  };
  const acts = {
    attach,
    dismiss: async () => { const reason = await askReason(parentElement); if (reason) send("dismiss", { reason }); },
    snooze: async () => { const days = Number(await askDays(parentElement)); if (days) send("snooze", { days }); },
    pick: () => here()?.classList.toggle("picked"),
    undo: () => {
      if (data.frozen) return;
      at = last ?? at;
      setTriggerValue("act", JSON.stringify({ act: "undo", pairs: [] }));
    },
  };
  const keys = {
    j: () => move(1), k: () => move(-1), a: () => acts.attach(), d: acts.dismiss, z: acts.snooze, x: acts.pick, u: acts.undo,
    Escape: () => picked().forEach((one) => one.classList.remove("picked")),
    ...Object.fromEntries(Object.entries(RELATIONS).map(([key, name]) => [key, () => acts.attach(name)])),
  };
  const pressed = (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("[role=dialog]")) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable=true]")) return;
    if (!document.querySelector(".in-page") || !keys[event.key]) return;
    event.preventDefault();
    event.stopImmediatePropagation(); // Streamlit has a `c` of its own
    if (data.frozen && !["j", "k"].includes(event.key)) return;
    keys[event.key]();
  };
  const clicked = (event) => {
    const row = event.target.closest?.(".in-row");
    if (row) show(row, false);
    const one = event.target.closest?.("button[data-act]");
    if (one && !one.disabled) acts[one.dataset.act](one.dataset.relation);
  };
  window.addEventListener("keydown", pressed, true);
  document.addEventListener("click", clicked);
  const watch = new MutationObserver(settle);
  watch.observe(document.body, { childList: true, subtree: true });
  settle();
  const off = () => {
    window.removeEventListener("keydown", pressed, true);
    document.removeEventListener("click", clicked);
    watch.disconnect();
  };
  live.set(parentElement, off);
  document.documentElement.dataset.shInbox = "on"; // from here on the keys of the inbox answer
  return off;
}
