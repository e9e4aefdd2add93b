// How far the suite is: a bar on a terminal, a line for each run elsewhere. Both on stderr, so that stdout is the results'.
import { SingleBar } from 'cli-progress'

export interface Progress {
  start(what: string): void
  done(result: string): void
  stop(): void
}

export function showProgress(runs: number): Progress {
  return process.stderr.isTTY ? bar(runs) : lines(runs)
}

function bar(runs: number): Progress {
  const progress = new SingleBar({
    format: '{bar} {value}/{total} · {eta_formatted} left · {what}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    clearOnComplete: true,
    stream: process.stderr,
    etaBuffer: 20,
  })
  progress.start(runs, 0, { what: '' })
  return {
    start: (what) => progress.update({ what }),
    done: () => progress.increment(),
    stop: () => progress.stop(),
  }
}

function lines(runs: number): Progress {
  let run = 0
  let name = ''
  return {
    start: (what) => {
      run += 1
      name = what
    },
    done: (result) => console.error(`${run}/${runs} ${name}: ${result}`),
    stop: () => {},
  }
}
