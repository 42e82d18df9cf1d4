// The inbox under the keys: moving and picking happen here at once; what changes the library is an act. Acts stand in a line,
// each with its number, until the library has answered them. A message holds the whole line, and the next one goes when the one
// before was answered: the library passes over what it knows, so a message may be lost or come twice.
// An act that follows another in the line is answered beside it, so that no sentence goes before it was read.
// The rows are drawn by the page as HTML with `data-pair`; here they only get the classes `now`, `picked` and `gone`.
import { askDays, askReason, askRelation, RELATIONS } from "./ask.js";

const PATIENCE = 15_000; // ms after which a message without an answer is sent again
const INBOX = ".in-page, .in-done, .in-row, dialog.in-ask";
const TYPING = "input, textarea, select, [contenteditable=true]";
const SWITCH = "sh-inbox-keys"; // whether the keys are off, remembered in the browser

// What outlives the component, which goes when another page is walked to
const line = []; // acts without an answer, oldest first; what was not sent when the page was left goes when it is drawn again
const chosen = new Set(); // the pairs that are picked
const live = new WeakMap();
let mounted = null; // what sends, where dialogs go, and whether nothing may be changed
let given = 0; // the number that was given last
let heard = null; // the number that was answered last, as the page says it
let again = 0; // the timer of PATIENCE
let held = []; // keys that wait for an undo: they are meant for what it brings back
let at = null; // the pair that is at hand, kept when the rows are drawn anew
let inside = false; // whether focus was last seen in the inbox: it is lost with the row that has it
let arriving = false; // whether the page was just walked to

const rows = () => [...document.querySelectorAll(".in-row")];
const open = () => rows().filter((row) => !row.classList.contains("gone"));
const here = () => document.querySelector(".in-row.now");
const answer = () => document.querySelector(".in-heard")?.dataset; // the page draws it last
const undoing = () => line.some((act) => act.act === "undo");
const asking = () => document.querySelector("[role=dialog]");
const isOff = () => document.documentElement.dataset.shInboxKeys === "off";

// --- the row at hand ---------------------------------------------------------------------------------------------------

function show(row) {
  for (const one of rows()) {
    one.classList.toggle("now", one === row);
    if (one === row) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
  at = row?.dataset.pair ?? null;
}

function go(row) { // focus goes along, so that a screen reader says where one is
  show(row);
  row?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

function move(by) {
  const all = open(), next = all[all.indexOf(here()) + by];
  if (next) go(next);
}

function dress() { // acts that are under way show on their rows
  const gone = new Set(line.flatMap((act) => act.pairs.map((pair) => pair.join(" "))));
  for (const row of rows()) {
    row.classList.toggle("gone", gone.has(row.dataset.pair));
    row.setAttribute("aria-busy", gone.has(row.dataset.pair));
    row.classList.toggle("picked", chosen.has(row.dataset.pair));
  }
  for (const box of document.querySelectorAll(".in-done")) box.classList.toggle("gone", undoing());
  document.documentElement.dataset.shInbox = line.length ? "busy" : "on"; // the keys of the inbox answer; busy: it waits for answers
}

function settle() { // the rows may have been drawn anew
  const said = answer();
  if (!said) return;
  const isNew = said.heard !== heard;
  if (isNew) answered(said);
  dress();
  const row = open().find((one) => one.dataset.pair === at) ?? open()[0];
  if (row !== here()) show(row);
  keepFocus(row);
  if (!isNew) return;
  if (!line.length) document.querySelector(".in-done")?.scrollIntoView({ block: "nearest" });
  const meant = held.splice(0);
  if (said.back) meant.forEach(press);
}

function keepFocus(row) {
  const focused = document.activeElement, isLost = focused === document.body;
  const left = arriving && !isLost && !focused.matches(TYPING); // it is still on the link that led here
  if (row && ((inside && isLost) || left)) row.focus({ preventScroll: true });
  if (row) arriving = false;
}

// --- the line of acts --------------------------------------------------------------------------------------------------

function put(act) {
  line.push({ number: ++given, follows: line.length > 0, pairs: [], ...act });
  if (line.length === 1) deliver();
  settle();
}

function deliver() {
  clearTimeout(again);
  if (!line.length || !mounted) return;
  mounted.send(JSON.stringify(line));
  again = setTimeout(deliver, PATIENCE);
}

function answered(said) { // an act that was not done has its sentence on the page, and its row is open again
  heard = said.heard;
  given = Math.max(given, Number(heard));
  while (line.length && line[0].number <= Number(heard)) line.shift();
  if (said.back && !line.length) at = said.back;
  deliver();
}

function decide(act, pairs, more = {}) {
  if (!pairs.length || mounted.frozen || !answer()) return;
  const all = rows(), last = all.findLastIndex((row) => pairs.includes(row.dataset.pair));
  const left = open().filter((row) => !pairs.includes(row.dataset.pair));
  pairs.forEach((pair) => chosen.delete(pair));
  go(left.find((row) => all.indexOf(row) > last) ?? left.at(-1)); // at once: no key may meet another row because it came early
  put({ act, pairs: pairs.map((pair) => pair.split(" ")), ...more });
}

// --- acts and keys -----------------------------------------------------------------------------------------------------

function meant() { // the rows that an act is about: those that are picked, else the one at hand
  const some = open().filter((row) => row.classList.contains("picked"));
  return some.length ? some : open().filter((row) => row === here());
}

const pairsOf = (some) => some.map((row) => row.dataset.pair);

async function attach(relation) {
  const some = meant(), pairs = pairsOf(some);
  if (!pairs.length) return;
  const guesses = new Set(some.map((row) => row.dataset.guess ?? ""));
  const guess = guesses.size === 1 ? [...guesses][0] : "";
  const said = relation || guess || (await askRelation(mounted.host));
  if (said) decide("attach", pairs, { relation: said });
}

async function dismiss() {
  const pairs = pairsOf(meant());
  const reason = pairs.length && (await askReason(mounted.host));
  if (reason) decide("dismiss", pairs, { reason });
}

async function snooze() {
  const pairs = pairsOf(meant());
  const days = pairs.length && Number(await askDays(mounted.host));
  if (days) decide("snooze", pairs, { days });
}

function pick() {
  if (at && !chosen.delete(at)) chosen.add(at);
  dress();
}

function undo() { // what was done last here: it may be answered, or stand in the line
  if (mounted.frozen || undoing() || !answer()) return;
  const done = [...answer().trail.split(" ").filter(Boolean).map(Number), ...line.map((act) => act.number)];
  put({ act: "undo", of: done.at(-1) ?? 0 });
}

function turn() { // the keys on or off
  const to = isOff() ? "on" : "off";
  document.documentElement.dataset.shInboxKeys = to;
  try { localStorage.setItem(SWITCH, to); } catch { /* a browser that may remember nothing: it holds for this page */ }
}

function remembered() {
  try { return localStorage.getItem(SWITCH) ?? "on"; } catch { return "on"; }
}

const ACTS = { attach, dismiss, snooze, pick, undo, turn };
const MOVES = { j: () => move(1), k: () => move(-1) };
const KEYS = {
  ...MOVES, a: () => attach(), d: dismiss, z: snooze, x: pick, u: undo,
  Escape: () => { chosen.clear(); dress(); },
  ...Object.fromEntries(Object.entries(RELATIONS).map(([key, name]) => [key, () => attach(name)])),
};

function press(key) {
  if (asking()) return;
  if (undoing()) held.push(key);
  else KEYS[key]();
}

function isOurs(focused) { // keys are for what has the focus, be it nothing
  return !focused || focused === document.body || focused.closest(INBOX) || focused.matches("[data-testid=stMain]");
}

function pressed(event) {
  if (event.metaKey || event.ctrlKey || event.altKey || !Object.hasOwn(KEYS, event.key) || isOff() || asking()) return;
  if (!document.querySelector(".in-page") || event.target.closest?.(TYPING) || !isOurs(document.activeElement)) return;
  event.preventDefault();
  event.stopImmediatePropagation(); // Streamlit has a `c` of its own
  if (!(event.key in MOVES) && (mounted.frozen || event.repeat)) return; // a key that is held down decides once
  press(event.key);
}

function clicked(event) {
  const row = event.target.closest?.(".in-row"), one = event.target.closest?.("button[data-act]");
  if (row && !row.classList.contains("gone")) show(row);
  if (one && !one.disabled && !row?.classList.contains("gone")) ACTS[one.dataset.act](one.dataset.relation);
}

function focused(event) {
  inside = Boolean(event.target.closest?.(INBOX));
  const row = event.target.closest?.(".in-row");
  if (row && !row.classList.contains("gone") && row !== here()) show(row);
}

window.addEventListener("beforeunload", (event) => line.length && event.preventDefault()); // acts would be lost

export default function ({ parentElement, setTriggerValue, data }) {
  live.get(parentElement)?.();
  arriving = !live.has(parentElement);
  const mine = { send: (text) => setTriggerValue("act", text), host: parentElement, frozen: data.frozen };
  mounted = mine;
  const watch = new MutationObserver(settle);
  watch.observe(document.body, { childList: true, subtree: true });
  window.addEventListener("keydown", pressed, true);
  window.addEventListener("click", clicked, true);
  document.addEventListener("focusin", focused);
  document.documentElement.dataset.shInboxKeys = remembered();
  const off = () => {
    window.removeEventListener("keydown", pressed, true);
    window.removeEventListener("click", clicked, true);
    document.removeEventListener("focusin", focused);
    watch.disconnect();
    if (mounted === mine) mounted = null;
  };
  live.set(parentElement, off);
  dress();
  settle();
  deliver();
  return off;
}
