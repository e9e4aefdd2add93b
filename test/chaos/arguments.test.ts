import assert from 'node:assert/strict'
import { ArgumentError, parseArguments } from '../../chaos/arguments.js'

describe('The arguments of the chaos run', () => {
  it('are read in either form', () => {
    const { seconds, workers, seed, json, shrink, save } = parseArguments([
      '--seconds',
      '60',
      '--workers=4',
      '--seed',
      '7',
      '--json',
      '--no-shrink',
      '--save',
      'plan.json',
    ])
    assert.deepEqual(
      { seconds, workers, seed, json, shrink, save },
      { seconds: 60, workers: 4, seed: 7, json: true, shrink: false, save: 'plan.json' },
    )
  })

  it('have a seed of their own where none is given', () => {
    assert.notEqual(parseArguments([]).seed, parseArguments([]).seed)
  })

  for (const [title, argv, message] of [
    ['an unknown option', ['--second', '5'], /no option "--second"; npm run chaos/],
    ['a word that is no option', ['seconds'], /"seconds" is no option: options begin with --/],
    ['too short a time', ['--seconds', '4'], /--seconds must be a whole number from 5 to 3600, got "4"/],
    ['a number that is missing', ['--workers'], /--workers must be a whole number from 1 to 16, got nothing/],
    ['a Redis that there is not', ['--redis', 'valkey'], /--redis must be server or sentinel or cluster, got "valkey"/],
    ['a plan on other servers', ['--plan', 'a', '--redis', 'cluster'], /--plan and --redis do not go together: the plan says/],
    ['a path that is missing', ['--save', '--json'], /--save must be followed by a path/],
    ['a plan with a seed', ['--plan', 'a', '--seed', '1'], /--plan and --seed do not go together: the plan says/],
    ['results without minutes', ['--results', 'a'], /--results is for --minutes/],
    ['minutes with a plan to save', ['--minutes', '5', '--save', 'a'], /--minutes and --save do not go together/],
  ] as const) {
    it(`refuse ${title}, and say what to do`, () => {
      assert.throws(
        () => parseArguments(argv),
        (error) => error instanceof ArgumentError && message.test(error.message),
      )
    })
  }
})
