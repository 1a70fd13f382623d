/** The tabs of the panel: one of them is chosen; arrow keys go from one to the next. */
import { el } from './dom';
import { type Section, SECTIONS } from './wire';

const NAMES: Readonly<Record<Section, string>> = {
  lineage: 'Lineage',
  reuse: 'Reuse',
  sweeps: 'Sweeps',
  checks: 'Checks',
  endpoints: 'Endpoints'
};

export class Tabs {
  readonly node = el('div', { role: 'tablist', 'aria-label': 'Sections of mlmagic', class: 'mlmagic-tabs' });

  constructor(private readonly _onChoice: () => void) {
    for (const section of SECTIONS) {
      const attributes = { type: 'button', role: 'tab', id: tabId(section), 'aria-controls': 'mlmagic-section' };
      const tab = el('button', attributes, NAMES[section]);
      tab.addEventListener('click', () => this.choose(section));
      this._tabs.set(section, tab);
      this.node.append(tab);
    }
    this.node.addEventListener('keydown', event => this._onKey(event));
    this._write();
  }

  get chosen(): Section {
    return this._chosen;
  }

  /** The chosen tab. */
  get tab(): HTMLElement {
    return this._tabs.get(this._chosen)!;
  }

  choose(section: Section): void {
    if (section !== this._chosen) {
      this._chosen = section;
      this._write();
      this._onChoice();
    }
  }

  private _write(): void {
    for (const [section, tab] of this._tabs) {
      const chosen = section === this._chosen;
      tab.setAttribute('aria-selected', String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
  }

  private _onKey(event: KeyboardEvent): void {
    const at = SECTIONS.indexOf(this._chosen);
    const last = SECTIONS.length - 1;
    const next = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (next !== undefined) {
      this.choose(SECTIONS[next]);
      this._tabs.get(SECTIONS[next])?.focus();
      event.preventDefault();
      event.stopPropagation();
    }
  }

  private _chosen: Section = 'lineage';
  private readonly _tabs = new Map<Section, HTMLButtonElement>();
}

export function tabId(section: Section): string {
  return `mlmagic-tab-${section}`;
}
