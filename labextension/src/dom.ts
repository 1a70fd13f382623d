/** Small helpers to make elements: text is always text, never markup. */

type Child = globalThis.Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  write(made, attributes);
  made.append(...children.filter((child): child is globalThis.Node | string => child !== null));
  return made;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  write(made, attributes);
  made.append(...children.filter((child): child is globalThis.Node | string => child !== null));
  return made;
}

function write(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

export function button(text: string, title: string, act: () => void, className = ''): HTMLButtonElement {
  const made = el('button', { type: 'button', title, class: `mlmagic-button ${className}`.trim() }, text);
  made.addEventListener('click', act);
  return made;
}

/** Set the text only where it changes: a status that is written again is read aloud again. */
export function say(node: Element, text: string): void {
  if (node.textContent !== text) {
    node.textContent = text;
  }
}

/**
 * Children by key: one whose signature is unchanged is left alone, with its focus, its open details and its selection.
 */
export function keyed<T>(
  parent: HTMLElement,
  items: readonly T[],
  key: (item: T) => string,
  build: (item: T) => HTMLElement
): void {
  const old = new Map([...parent.children].map(child => [(child as HTMLElement).dataset.key ?? '', child as HTMLElement]));
  const focused = document.activeElement instanceof HTMLElement ? document.activeElement : null;
  const position = focused && parent.contains(focused) ? placeOf(parent, focused) : null;
  const wanted = items.map(item => {
    const signature = JSON.stringify(item);
    const before = old.get(key(item));
    if (before?.dataset.signature === signature) {
      return before;
    }
    const made = build(item);
    made.dataset.key = key(item);
    made.dataset.signature = signature;
    const open = before?.querySelector('details')?.open;
    made.querySelector('details')?.toggleAttribute('open', open ?? false);
    return made;
  });
  if (wanted.length !== parent.children.length || wanted.some((node, number) => node !== parent.children[number])) {
    parent.replaceChildren(...wanted);
    find(parent, position)?.focus();
  }
}

type Place = { readonly key: string; readonly number: number };
const FOCUSABLE = 'button, summary, [tabindex]';

function placeOf(parent: HTMLElement, focused: HTMLElement): Place | null {
  const child = [...parent.children].find(one => one.contains(focused)) as HTMLElement | undefined;
  return child ? { key: child.dataset.key ?? '', number: [...child.querySelectorAll(FOCUSABLE)].indexOf(focused) } : null;
}

function find(parent: HTMLElement, place: Place | null): HTMLElement | null {
  const child = place && [...parent.children].find(one => (one as HTMLElement).dataset.key === place.key);
  return child?.querySelectorAll<HTMLElement>(FOCUSABLE)[place?.number ?? 0] ?? null;
}

/** Finds an element again later, or the one that was made in its stead; null where there is none any more. */
export function remember(element: HTMLElement): () => HTMLElement | null {
  const parent = element.closest<HTMLElement>('[data-key]')?.parentElement ?? null;
  const place = parent && placeOf(parent, element);
  return () => (element.isConnected ? element : parent && find(parent, place));
}
