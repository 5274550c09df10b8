import { dressSelects } from "./combo";
import { dressForms, startFocus, startMoves, startOnce } from "./forms";
import { startKeys } from "./keys";
import { startToasts } from "./toasts";

startKeys();
startToasts();
startOnce();
startFocus();
startMoves();
dressSelects(document);
dressForms(document);
document.addEventListener("htmx:load", (event) => {
  const part = (event as CustomEvent<{ elt: HTMLElement }>).detail.elt;
  if (part === document.body || !part.parentElement) return;
  dressSelects(part.parentElement);
  dressForms(part.parentElement);
});
