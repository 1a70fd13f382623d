/** What all five sections have in common. They only draw; what a person asks for, they pass on. */
import type { State } from '../model';

export interface Actions {
  /** Scroll to a cell of the notebook and select it; `focus` goes there, too. */
  readonly goTo: (cell: string, focus: boolean) => void;
  /** Ask why a cell was or was not reused. */
  readonly explain: (cell: string) => void;
  /** How the notebook calls the cell: its prompt's number, else its first words. */
  readonly nameOf: (cell: string) => string;
}

export interface SectionView {
  readonly node: HTMLElement;
  /** A section that the state does not have yet stays as it is: the kernel was just asked for it. */
  draw(state: State): void;
  /** Another notebook, or another life of its kernel. */
  clear(): void;
}
