/** The one hint that the panel gives when a notebook has nothing to show: what is missing, and what to do where. Pure. */
import type { Standing } from './channel';
import type { Found } from './probe';

export interface Hint {
  readonly text: string;
  /** What to copy: a line for a cell or for a terminal. */
  readonly copy?: string;
  readonly where?: string;
}

export function hintFor(standing: Standing, found: Found | null, mlmagic: string | undefined): Hint | null {
  switch (standing) {
    case 'absent':
      return found === null ? null : found.installed ? NOT_LOADED : notInstalled(found.python);
    case 'other':
      return {
        text:
          `mlmagic ${mlmagic ?? ''} in the kernel and the panel in JupyterLab are of versions that do not understand each ` +
          'other. Install the same version in both environments, then reload this page.'
      };
    case 'shared':
      return {
        text:
          'Another notebook or console of this page has this kernel too, and only one of them can follow it. ' +
          'Give this notebook a kernel of its own, or close the other and reload this page.'
      };
    default:
      return null;
  }
}

const NOT_LOADED: Hint = {
  text: 'mlmagic is installed in this kernel but not loaded. To track this notebook, run this in a cell:',
  copy: '%load_ext mlmagic',
  where: 'in a cell'
};

function notInstalled(python: string): Hint {
  return {
    text:
      `This notebook's kernel runs in another environment than JupyterLab, and mlmagic is not installed there. ` +
      'Install it for the kernel, in a terminal, then run %load_ext mlmagic in a cell:',
    copy: `${/\s/.test(python) ? `"${python}"` : python} -m pip install mlmagic`,
    where: 'in a terminal'
  };
}
