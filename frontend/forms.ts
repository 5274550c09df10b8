import { leftWords } from "./slots";
import { all, one } from "./types";

/** Everything small that makes the plain forms smoother; each of them works without this. */
export function dressForms(within: ParentNode): void {
  for (const button of all("[data-plain]", within)) button.hidden = true;
  for (const field of all<HTMLInputElement | HTMLSelectElement>("[data-submits]", within)) {
    field.addEventListener("change", () => {
      if (field.value) field.form?.requestSubmit();
    });
  }
  for (const button of all("[data-prints]", within)) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
  for (const field of all<HTMLInputElement>("input[data-most]", within)) refuseLargeFiles(field);
  for (const form of all<HTMLFormElement>("form[data-book]", within)) dressBooking(form);
  for (const left of all("[data-left]", within)) countDown(left);
}

/** A file that is too large is told of before it is sent; the server looks again. */
function refuseLargeFiles(field: HTMLInputElement): void {
  const mega = 1024 * 1024;
  field.addEventListener("change", () => {
    const size = field.files?.[0]?.size ?? 0;
    const most = Number(field.dataset.most);
    field.setCustomValidity("");
    if (size <= most) return;
    field.value = "";
    field.setCustomValidity(`This file has ${(size / mega).toFixed(1)} MB; ${most / mega} MB is the most.`);
    field.reportValidity();
  });
}

/** A second press of the same button sends nothing; the hidden request key would make it harmless anyway. */
export function startOnce(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target as HTMLFormElement;
    if (!("once" in form.dataset)) return;
    if (form.dataset.busy) event.preventDefault();
    form.dataset.busy = "yes";
  });
  const free = () => {
    for (const form of all<HTMLFormElement>("form[data-busy]")) delete form.dataset.busy;
  };
  window.addEventListener("pageshow", free);
  document.addEventListener("htmx:afterRequest", free);
}

const PLACES = new Set("day time minutes physician room device".split(" "));

/** What the button of a move promises must be what was checked: another time is checked again at once. */
export function startMoves(): void {
  document.addEventListener("change", (event) => {
    const field = event.target as HTMLInputElement;
    const form = field.form;
    if (!form || !("moveForm" in form.dataset) || !PLACES.has(field.name) || !form.checkValidity()) return;
    const promise = one<HTMLButtonElement>('button[value="move"]', form);
    if (promise) promise.disabled = true;
    form.requestSubmit(one<HTMLButtonElement>('button[value="preview"]', form));
  });
}

const CHOICES = new Set(
  (
    "procedure side levels regions sedation guidance site physician earliest latest weekday part covered waive " +
    "technique temperature_c modic_type contrast premedication"
  ).split(" "),
);

/** A choice asks for fresh openings at once; never while the answer to a press of a button is under way. */
function dressBooking(form: HTMLFormElement): void {
  let timer = 0;
  let isPressed = false;
  form.addEventListener("submit", () => {
    window.clearTimeout(timer);
    isPressed = true;
  });
  form.addEventListener("htmx:afterRequest", () => {
    isPressed = false;
  });
  form.addEventListener("change", (event) => {
    const field = event.target as HTMLInputElement;
    if (!CHOICES.has(field.name) || isPressed) return;
    if (field.name === "waive") return;
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      if (!isPressed) window.htmx?.trigger(form, "look");
    }, 120);
  });
  // A press on one of the two dots of a level also says the side.
  form.addEventListener("click", (event) => {
    const dot = (event.target as Element).closest?.(".mark-r, .mark-l");
    if (!dot) return;
    const side = dot.classList.contains("mark-r") ? "right" : "left";
    const radio = one<HTMLInputElement>(`input[name="side"][value="${side}"]`, form);
    const current = one<HTMLInputElement>('input[name="side"]:checked', form);
    if (radio && !current) radio.checked = true;
  });
  for (const map of all<HTMLElement>(".body-map", form)) dressBody(map, form);
}

/** The figure is a second way to the boxes beside it: a press on a part ticks its first region, and says the side. */
function dressBody(map: HTMLElement, form: HTMLFormElement): void {
  map.classList.add("is-live");
  map.addEventListener("click", (event) => {
    const part = (event.target as Element).closest<SVGElement>("[data-part]");
    const name = part?.dataset.part ?? "";
    const limb = ["arm", "foot"].includes(name) ? ", .r-limb input" : "";
    const box = name ? one<HTMLInputElement>(`.r-${name} input${limb}`, map) : null;
    if (!part || !box) return;
    const side = part.classList.contains("pr") ? "right" : part.classList.contains("pl") ? "left" : "";
    const radio = side ? one<HTMLInputElement>(`input[name="side"][value="${side}"]`, form) : null;
    if (radio && !one('input[name="side"]:checked', form)) radio.checked = true;
    box.click();
  });
}

function countDown(place: HTMLElement): void {
  const ends = performance.now() + Number(place.dataset.left) * 1000;
  const tick = () => {
    if (!place.isConnected) return window.clearInterval(timer);
    const seconds = (ends - performance.now()) / 1000;
    place.textContent = seconds > 0 ? ` (${leftWords(seconds)} left)` : " (ended: choose a time again)";
  };
  const timer = window.setInterval(tick, 1000);
  tick();
}

let remembered: { id: string; name: string; value: string } | null = null;

/** Where the keyboard was is where it stays when a part of the page is exchanged. */
export function startFocus(): void {
  document.addEventListener("htmx:beforeSwap", () => {
    const active = document.activeElement;
    remembered =
      active instanceof HTMLElement && active !== document.body
        ? {
            id: active.id,
            name: active.getAttribute("name") ?? "",
            value: active instanceof HTMLInputElement || active instanceof HTMLButtonElement ? active.value : "",
          }
        : null;
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const part = (event as CustomEvent<{ elt: HTMLElement }>).detail.elt;
    if (!part?.isConnected) return;
    const urgent = one("#refusal, #error-summary, #chosen", part);
    if (urgent && remembered?.name !== "waive") {
      urgent.focus({ preventScroll: true });
      urgent.scrollIntoView({ block: "nearest" });
    } else if (remembered && (document.activeElement === document.body || !document.activeElement)) {
      const byId = remembered.id ? document.getElementById(remembered.id) : null;
      const byName = remembered.name
        ? all<HTMLInputElement>(`[name="${CSS.escape(remembered.name)}"]`, part).find(
            (field) => field.value === remembered?.value,
          )
        : null;
      (byId ?? byName)?.focus({ preventScroll: true });
    }
    remembered = null;
  });
}
