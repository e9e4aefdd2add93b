// What was found out about each bug, kept in a file as it comes (a line of JSON for each judge that was asked), and the table of it.

import { appendFile, readFile } from 'node:fs/promises'
import type { PlantedBug } from './planted-bug.js'

/** Who was asked about a bug, a test file or the chaos run, and what came of it. */
export interface Verdict {
  bug: string
  judge: string
  caught: boolean
  /** What the judge said: the title of the test and its error. */
  title?: string
  message?: string
  seconds: number
}

export class Results {
  private readonly verdicts: Verdict[] = []

  private constructor(private readonly file: string | undefined) {}

  /** @param file with earlier results, if it is there; later ones are added to it */
  static async open(file: string | undefined): Promise<Results> {
    const results = new Results(file)
    const text = file === undefined ? '' : await readFile(file, 'utf8').catch(() => '')
    for (const line of text.split('\n')) if (line !== '') results.verdicts.push(JSON.parse(line) as Verdict)
    return results
  }

  async add(verdict: Verdict): Promise<void> {
    this.verdicts.push(verdict)
    if (this.file !== undefined) await appendFile(this.file, `${JSON.stringify(verdict)}\n`)
  }

  of({ name }: PlantedBug): Verdict[] {
    return this.verdicts.filter(({ bug }) => bug === name)
  }

  catches(bug: PlantedBug): Verdict[] {
    return this.of(bug).filter(({ caught }) => caught)
  }

  /** What fails without the bug too has caught nothing. */
  discard(verdict: Verdict): void {
    verdict.caught = false
    verdict.message = `fails without the bug too: ${verdict.message}`
  }

  table(bugs: readonly PlantedBug[]): string {
    const rows = bugs.map((bug) => {
      const seconds = this.of(bug).reduce((sum, one) => sum + one.seconds, 0)
      const by = this.catches(bug).map(({ judge, title }) => (title === undefined ? judge : `${judge}: ${title}`))
      const passed = this.of(bug).flatMap(({ caught, judge }) => (caught ? [] : [judge]))
      return `| ${bug.name}: ${bug.what} | ${bug.about.join(', ')} | ${by.join('; ') || 'NONE'} | ${passed.join(', ')} | ${seconds.toFixed(1)} |`
    })
    const head = ['| planted bug | about | caught by | not by | seconds |', '| --- | --- | --- | --- | --: |']
    return [...head, ...rows, ''].join('\n')
  }
}
