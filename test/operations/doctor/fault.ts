// A fault of the doctor's table, and the test of it: set up, named, its printed remedies carried out, gone.

import assert from 'node:assert/strict'
import type { Finding, Remedy } from '../../../lib/admin/doctor/check.js'
import type { Stage } from './staging.js'

export interface Fault {
  /** As the table in docs/doctor.md says it. */
  what: string
  /** The name of the finding. */
  name: string
  verdict?: Finding['verdict']
  /** What else it makes wrong. */
  also?: string[]
  /** What it is once the remedies are carried out. Default: fine. */
  becomes?: Finding['verdict']
  /** Sets it up on a stage of its own. */
  stage(): Promise<StagedFault>
}

export interface StagedFault {
  stage: Stage
  /** Does what a remedy says that is a sentence. */
  byHand?(): Promise<unknown>
  /** Awaited once the remedies are carried out, where they take effect later. */
  takesEffect?(): Promise<unknown>
  /** Which of the remedies are carried out, where some are alternatives. Default: all. */
  picks?(remedy: Remedy): boolean
  /** Ends what the stage does not know. */
  end?(): Promise<unknown>
}

/** No stage has a worker, unless the fault says so. */
const ALWAYS = ['processes.no-worker']

/** A remedy may uncover another fault: a column that is there again has no index. */
const ROUNDS = 3

export async function testFault({ name, verdict = 'wrong', also = [], becomes = 'fine', stage: setUp }: Fault): Promise<void> {
  const staged = await setUp()
  const spared = ALWAYS.filter((one) => one !== name)
  const { stage, end } = staged
  try {
    let findings = await stage.ask()
    const named = findings.filter((one) => one.name === name && one.verdict === verdict)
    assert.ok(named.length > 0, `it is not named ${name} (${verdict}):\n${shown(findings)}`)
    const unforeseen = wrongOnes(findings).filter((one) => ![name, ...also, ...ALWAYS].includes(one))
    assert.deepEqual(unforeseen, [], shown(findings))
    assert.ok(
      named.every(({ remedies }) => remedies.length > 0),
      'it has no remedy',
    )
    assert.ok(named.every(isFirstOnTheServer), 'redis.conf comes first, which changes nothing until a restart')
    for (let round = 0; round < ROUNDS; round += 1) {
      await carryOut(staged, round === 0 ? named : findings.filter((one) => one.verdict === 'wrong' && !spared.includes(one.name)))
      findings = await stage.ask()
      if (wrongOnes(findings).every((one) => spared.includes(one))) break
    }
    const left = findings.filter((one) => one.name === name && one.verdict !== 'fine' && one.verdict !== becomes)
    assert.deepEqual(left, [], 'it is not gone')
    assert.deepEqual(
      wrongOnes(findings).filter((one) => one !== name && !ALWAYS.includes(one)),
      [],
      shown(findings),
    )
  } finally {
    await end?.()
    await stage.close()
  }
}

async function carryOut({ stage, byHand, takesEffect, picks = () => true }: StagedFault, findings: Finding[]): Promise<void> {
  let isDone = false
  for (const { remedies } of findings)
    for (const remedy of remedies.filter(picks)) {
      if (remedy.in !== 'by hand') await stage.carryOut(remedy)
      else if (!isDone) {
        isDone = true
        await byHand?.()
      }
    }
  await takesEffect?.()
}

/** Whether a line of redis.conf comes after the command that changes the running Redis. */
function isFirstOnTheServer({ remedies }: Finding): boolean {
  const places = remedies.map((remedy) => remedy.in)
  const line = places.indexOf('redis.conf')
  return line < 0 || places.slice(0, line).includes('redis-cli')
}

function wrongOnes(findings: Finding[]): string[] {
  return findings.filter(({ verdict }) => verdict === 'wrong').map(({ name }) => name)
}

function shown(findings: Finding[]): string {
  return findings
    .filter(({ verdict }) => verdict !== 'fine')
    .map(
      ({ name, kind, verdict, found, remedies }) =>
        `${verdict} ${name} ${kind ?? ''}: ${found}\n${remedies.map(({ in: place, text }) => `  ${place}: ${text}`).join('\n')}`,
    )
    .join('\n')
}
