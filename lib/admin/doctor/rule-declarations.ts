// Whether each rule fits its model, without reading the database: attributes, statuses, and deadlines that two rules would share.

import { byHand, type Check, fine, wrong } from './check.js'
import { why } from './subject.js'

const NAME = 'rules.declared'

export const ruleDeclarations: Check = {
  name: NAME,
  async look({ rules, runtime }) {
    const expected = 'a rule that fits its model'
    const wrongOnes = rules.flatMap(({ kind, problem }) =>
      problem === undefined ? [] : [wrong(NAME, { kind, expected, found: problem }, byHand('change the option that the message names'))],
    )
    if (wrongOnes.length > 0) return wrongOnes
    try {
      runtime.rules()
    } catch (error) {
      return [wrong(NAME, { expected, found: why(error) }, byHand('change the option that the message names'))]
    }
    return [fine(NAME, { expected: 'rules that fit their models', found: `${rules.length}: ${rules.map(({ kind }) => kind).join(', ')}` })]
  },
}
