import { say } from "./toasts";
import { all, one } from "./types";

export function token(): string {
  const headers = document.body.getAttribute("hx-headers");
  return headers ? ((JSON.parse(headers) as Record<string, string>)["X-CSRFToken"] ?? "") : "";
}

/** Ask as htmx does, so that the server answers a fragment; the true status stays readable. */
export function ask(url: string, target: string, body?: URLSearchParams): Promise<Response> {
  const headers: Record<string, string> = {
    "HX-Request": "true",
    "HX-Target": target,
    "HX-Current-URL": location.href,
    "X-CSRFToken": token(),
  };
  return fetch(url, { method: body ? "POST" : "GET", headers, credentials: "same-origin", ...(body ? { body } : {}) });
}

function parsed(html: string): DocumentFragment {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return holder.content;
}

export function panel(): HTMLElement | null {
  return one("#case-panel");
}

/** Is somebody filling in a form of the panel? Then nothing may replace it. */
export function isBusy(): boolean {
  return Boolean(one("#move-form, #swap-form, #cancel-form, #reinstate-form", panel() ?? document.createElement("i")));
}

function markSelected(id: string): void {
  for (const bar of all(".bar.is-selected")) {
    bar.classList.remove("is-selected");
    bar.removeAttribute("aria-current");
  }
  for (const bar of all(`.bar[data-case="${id}"]`)) {
    bar.classList.add("is-selected");
    bar.setAttribute("aria-current", "true");
  }
}

/** Open a case at the right and name it in the address. */
export async function openCase(link: HTMLAnchorElement): Promise<void> {
  const response = await ask(link.dataset.panel ?? link.href, "case-panel").catch(() => null);
  if (!response?.ok || response.headers.get("HX-Redirect")) {
    location.assign(link.href);
    return;
  }
  const fresh = one("#case-panel", parsed(await response.text()));
  const old = panel();
  if (!fresh || !old) return location.assign(link.href);
  old.replaceWith(fresh);
  window.htmx?.process(fresh);
  history.pushState({}, "", link.href);
  markSelected(link.dataset.case ?? "");
  const seal = response.headers.get("X-Clinic-Opened");
  if (seal) document.dispatchEvent(new CustomEvent("clinic:opened", { detail: seal }));
  fresh.focus({ preventScroll: true });
}

/** Show a form (move, cancel, reinstate) inside the panel. */
export async function openForm(url: string, target: string): Promise<void> {
  const response = await ask(url, target).catch(() => null);
  if (!response?.ok || response.headers.get("HX-Redirect")) return location.assign(url);
  showInPanel(await response.text());
}

export function showInPanel(html: string): void {
  const place = panel();
  if (!place) return;
  const close = one("[data-close-panel]", place)?.cloneNode(true) ?? closer();
  place.replaceChildren(close, parsed(html));
  window.htmx?.process(place);
  const wanted = ["#refusal", "#error-summary", "[name=act][value=move]", "input:not([type=hidden]), select"];
  for (const selector of wanted) {
    const first = one(selector, place);
    if (first) {
      first.focus();
      return;
    }
  }
}

function closer(): HTMLElement {
  const button = document.createElement("a");
  button.href = "#";
  button.className = "btn btn-icon btn-quiet close";
  button.dataset.closePanel = "";
  button.setAttribute("aria-label", "Close");
  button.textContent = "×";
  return button;
}

export function closePanel(): void {
  const place = panel();
  if (!place?.childNodes.length) return;
  const address = new URL(location.href);
  const id = address.searchParams.get("case") ?? one(".bar.is-selected")?.dataset.case ?? "";
  place.replaceChildren();
  address.searchParams.delete("case");
  history.pushState({}, "", address);
  const bar = id ? one(`.bar[data-case="${id}"]`) : null;
  markSelected("");
  bar?.focus({ preventScroll: true });
}

export function tell(text: string): void {
  const place = one("#announce");
  if (place) place.textContent = text;
  say(text);
}
