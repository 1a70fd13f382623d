/**
 * Pictures and tables from the kernel, made harmless before they enter the page: parsed without running anything, then
 * stripped of all that runs, embeds or fetches.
 */

const BANNED = new Set(
  ('script foreignobject iframe frame object embed link meta base form input button textarea select image img ' +
    'audio video source track animate animatetransform animatemotion set handler listener template noscript').split(' ')
);
const LINKS = new Set(['href', 'xlink:href', 'src', 'srcset', 'action', 'formaction', 'background', 'ping', 'poster']);

/** The SVG as an element of this page, or null where the text is none. */
export function safeSvg(text: string): SVGSVGElement | null {
  const parsed = new DOMParser().parseFromString(text, 'image/svg+xml');
  const root = parsed.documentElement;
  if (parsed.querySelector('parsererror') || root.localName !== 'svg') {
    return null;
  }
  clean(root);
  return document.importNode(root, true) as unknown as SVGSVGElement;
}

/** The HTML as a fragment of this page. */
export function safeHtml(text: string): DocumentFragment {
  const parsed = new DOMParser().parseFromString(text, 'text/html');
  clean(parsed.body);
  const fragment = document.createDocumentFragment();
  fragment.append(...[...parsed.body.childNodes].map(node => document.importNode(node, true)));
  return fragment;
}

function clean(root: Element): void {
  for (const element of [root, ...root.querySelectorAll('*')]) {
    if (element !== root && BANNED.has(element.localName.toLowerCase())) {
      element.remove();
    } else {
      cleanAttributes(element);
    }
  }
}

function cleanAttributes(element: Element): void {
  if (element.localName.toLowerCase() === 'style' && fetches(element.textContent ?? '')) {
    element.textContent = '';
  }
  for (const { name, value } of [...element.attributes]) {
    const lower = name.toLowerCase();
    const inside = lower.endsWith('href') && value.startsWith('#');
    const isWords = lower.startsWith('aria-') || lower.startsWith('data-') || lower === 'title' || lower === 'alt';
    if (lower.startsWith('on') || (LINKS.has(lower) && !inside) || (!isWords && fetches(value))) {
      element.removeAttribute(name);
    }
  }
}

/** Whether a style or attribute asks for something elsewhere; `url(#…)` stays inside. Escapes could hide a `url`. */
function fetches(value: string): boolean {
  return /url\(\s*(?!['"]?#)|@import|image-set\(|javascript:|\\/i.test(value);
}
