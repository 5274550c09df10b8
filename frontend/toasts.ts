import { all, one } from "./types";

/** Say something that is not about a field: seen in a toast, heard from the live region. */
export function say(text: string): void {
  const place = one("#toasts");
  if (!place) return;
  const toast = document.createElement("div");
  toast.className = "toast";
  const words = document.createElement("span");
  words.textContent = text;
  toast.append(words);
  place.append(toast);
  dress(toast);
}

function dress(toast: HTMLElement): void {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "×";
  button.setAttribute("aria-label", "Dismiss");
  button.addEventListener("click", () => toast.remove());
  toast.append(button);
  if (toast.dataset.level === "error") return;
  let timer = window.setTimeout(() => toast.remove(), 10_000);
  toast.addEventListener("pointerenter", () => window.clearTimeout(timer));
  toast.addEventListener("pointerleave", () => {
    timer = window.setTimeout(() => toast.remove(), 4_000);
  });
}

export function startToasts(): void {
  for (const toast of all("#toasts > .toast")) dress(toast);
  document.addEventListener("htmx:sendError", () =>
    say("The server cannot be reached. Nothing was changed and what you typed is still here. Try again."),
  );
  document.addEventListener("htmx:responseError", (event) => {
    const status = (event as CustomEvent<{ xhr: XMLHttpRequest }>).detail.xhr.status;
    say(
      status === 403
        ? "You may not do this, or you were signed out. Reload the page and try again."
        : status === 429
          ? "Too many requests at once. Wait a moment and try again."
          : "The server could not do this. What you typed is still here. Try again.",
    );
  });
}
