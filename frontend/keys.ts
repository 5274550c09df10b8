import { all, one } from "./types";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, select, textarea"));
}

/** `/` finds, `?` helps, Alt and a digit opens a place of the rail. */
export function startKeys(): void {
  const help = one<HTMLDialogElement>("#keys");
  for (const opener of all('[data-opens="keys"]')) {
    opener.hidden = false;
    opener.addEventListener("click", () => help?.showModal());
  }
  document.addEventListener("keydown", (event) => {
    if (event.altKey && /^Digit[1-9]$/.test(event.code)) {
      const link = all<HTMLAnchorElement>(".rail a")[Number(event.code.slice(5)) - 1];
      if (link) {
        event.preventDefault();
        link.click();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "/") {
      const field = one<HTMLInputElement>("#id_q") ?? one<HTMLInputElement>("#find");
      if (!field) return;
      event.preventDefault();
      field.focus();
      field.select();
    } else if (event.key === "?" && help && !help.open) {
      event.preventDefault();
      help.showModal();
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of all<HTMLDetailsElement>("details.menu[open]")) {
      if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of all<HTMLDetailsElement>("details.menu[open]")) {
      menu.open = false;
      one("summary", menu)?.focus();
    }
  });
}
