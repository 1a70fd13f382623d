/** Whether the kernel could load mlmagic: asked once for each kernel, and only while the panel is looked at. */
import type { Kernel } from '@jupyterlab/services';

export interface Found {
  /** The package is importable in the kernel. */
  readonly installed: boolean;
  /** The kernel's interpreter. */
  readonly python: string;
}

const QUESTION = {
  installed: "__import__('importlib.util').util.find_spec('mlmagic') is not None",
  python: "__import__('sys').executable"
};

type Answers = Record<string, { status: string; data?: Record<string, string> } | undefined>;

/** The answer, or null where the kernel did not say. Silent: no count, no history, no output. */
export async function probe(kernel: Kernel.IKernelConnection): Promise<Found | null> {
  const future = kernel.requestExecute({
    code: '',
    silent: true,
    store_history: false,
    user_expressions: QUESTION,
    allow_stdin: false
  });
  const { content } = await future.done;
  if (content.status !== 'ok') {
    return null;
  }
  const answers = content.user_expressions as unknown as Answers;
  const installed = answers.installed?.data?.['text/plain'];
  const python = answers.python?.data?.['text/plain'];
  return installed && python ? { installed: installed === 'True', python: unquoted(python) } : null;
}

/** What Python's repr of a path stands for. */
function unquoted(text: string): string {
  return text.replace(/^['"]|['"]$/g, '').replace(/\\\\/g, '\\');
}
