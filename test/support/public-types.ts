// The declared types of an entry of the package, as text that does not depend on how lib/ is laid out: every export with its declaration,
// sorted by name, without comments, private members and members marked @internal. A type of lib/ that is not exported is written out where it
// is used, so that its name does not count.

import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import ts from 'typescript-oldest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const bin = (path: string) => join(root, 'node_modules', path)
const run = promisify(execFile)

/** Not among the types of this version. */
const { nullTransformationContext } = ts as unknown as { nullTransformationContext: ts.TransformationContext }

/** Emits lib's declarations into a directory, without what is marked @internal. `npm run check` checks types. */
export async function emitDeclarations(directory: string): Promise<void> {
  const options = ['--emitDeclarationOnly', '--stripInternal', '--noCheck', '--singleThreaded', '--outDir', directory]
  await run(process.execPath, [bin('typescript/bin/tsc'), '-p', 'tsconfig.build.json', ...options], { cwd: root })
}

/**
 * @param entries emitted declarations by the entry's name in package.json
 * @returns each entry's types; what an earlier entry exports is named and not written out again
 */
export async function publicTypes(entries: Record<string, string>): Promise<Map<string, string>> {
  const options = { noLib: true, types: [], module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext }
  const program = ts.createProgram(Object.values(entries), options)
  const checker = program.getTypeChecker()
  const known = new Set<ts.Symbol>()
  const globals = new Set(program.getSourceFiles().flatMap(({ statements }) => statements.filter(ts.isModuleDeclaration)))
  const texts = new Map<string, string>()
  for (const [entry, file] of Object.entries(entries)) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(file) as ts.SourceFile) as ts.Symbol
    const exported = checker.getExportsOfModule(module).map((symbol) => ({ name: symbol.name, symbol: original(checker, symbol) }))
    const own = exported.filter(({ symbol }) => !known.has(symbol)).sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const { name, symbol } of own) {
      if (name !== symbol.name) throw new Error(`${symbol.name} is exported as ${name}; give it that name`)
      known.add(symbol)
    }
    const writer = new Writer(checker, known)
    const declared = [...own.flatMap(({ symbol }) => symbol.declarations ?? []), ...globals].map((node) => writer.write(node))
    globals.clear()
    texts.set(entry, await formatted([...writer.imports(), ...declared].join('\n\n')))
  }
  return texts
}

function original(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
}

async function formatted(text: string): Promise<string> {
  const running = run(bin('.bin/biome'), ['format', '--stdin-file-path=lib/public-face.ts'], { cwd: root })
  running.child.stdin?.end(text)
  return (await running).stdout
}

type Substitutes = ReadonlyMap<ts.Symbol, ts.TypeNode>
type Visit = (node: ts.Node) => ts.Node | undefined

class Writer {
  private readonly printer = ts.createPrinter({ removeComments: true })
  /** Types that are being written out. */
  private readonly open = new Set<ts.Symbol>()
  /** What is used of other packages. */
  private readonly imported = new Map<string, Set<string>>()

  constructor(
    private readonly checker: ts.TypeChecker,
    private readonly exported: ReadonlySet<ts.Symbol>,
  ) {}

  imports(): string[] {
    return [...this.imported].sort().map(([module, names]) => `import type { ${[...names].sort().join(', ')} } from ${module}`)
  }

  write(declaration: ts.Node): string {
    const node = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration
    return this.printer.printNode(ts.EmitHint.Unspecified, this.copy(node, new Map()), node.getSourceFile())
  }

  /** A copy that does not know its place in the source, so that nodes of several files can be printed together. */
  private copy<N extends ts.Node>(node: N, substitutes: Substitutes): N {
    const visit: Visit = (child) => {
      if (isPrivate(child)) return undefined
      if (ts.isTypeReferenceNode(child)) return this.standsFor(child.typeName, child.typeArguments, substitutes) ?? descend(child)
      if (ts.isImportTypeNode(child) && child.qualifier)
        return this.standsFor(child.qualifier, child.typeArguments, substitutes) ?? withoutPath(child, visit)
      if (ts.isTypeOperatorNode(child) && ts.isTypeQueryNode(child.type)) return this.keys(child)
      if (ts.isTypeQueryNode(child)) throw new Error(`${child.getText()} cannot be written out; give the type itself`)
      if (ts.isClassDeclaration(child)) return descend(this.wholeClass(child))
      if (ts.isInterfaceDeclaration(child)) return descend(this.wholeInterface(child, substitutes))
      return descend(child)
    }
    const descend = (child: ts.Node): ts.Node => {
      if (ts.isIdentifier(child)) return this.identifier(child)
      if (ts.isStringLiteral(child)) return ts.factory.createStringLiteral(child.text, true)
      if (ts.isNumericLiteral(child)) return ts.factory.createNumericLiteral(child.text)
      const copied = ts.visitEachChild(child, visit, nullTransformationContext)
      if (copied !== child) ts.setTextRange(copied, { pos: -1, end: -1 })
      return ts.isTypeLiteralNode(copied) || ts.isMappedTypeNode(copied) ? ts.setEmitFlags(copied, ts.EmitFlags.SingleLine) : copied
    }
    return visit(node) as N
  }

  private identifier(node: ts.Identifier): ts.Identifier {
    const imported = this.checker.getSymbolAtLocation(node)?.declarations?.find(ts.isImportSpecifier)
    const module = imported?.parent.parent.parent.moduleSpecifier as ts.StringLiteral | undefined
    if (module && !module.text.startsWith('.')) {
      const names = this.imported.get(module.getText()) ?? new Set()
      this.imported.set(module.getText(), names.add(node.text))
    }
    return ts.factory.createIdentifier(node.text)
  }

  /** What a type that is not exported, or a type parameter of one, stands for; undefined where the name is to be kept. */
  private standsFor(name: ts.Node, given: readonly ts.TypeNode[] = [], substitutes: Substitutes): ts.Node | undefined {
    const symbol = this.symbolOf(name)
    const substitute = symbol && substitutes.get(symbol)
    if (substitute) return substitute
    const declaration = symbol?.declarations?.[0]
    if (!declaration || this.exported.has(symbol)) return undefined
    if (!ts.isInterfaceDeclaration(declaration) && !ts.isTypeAliasDeclaration(declaration)) return undefined
    if (this.open.has(symbol)) throw new Error(`${symbol.name} contains itself and so must be exported`)
    this.open.add(symbol)
    const within = this.bind(declaration.typeParameters, given, substitutes)
    const written = ts.isTypeAliasDeclaration(declaration)
      ? this.copy(declaration.type, within)
      : this.copy(ts.factory.createTypeLiteralNode(this.wholeInterface(declaration, within).members), within)
    this.open.delete(symbol)
    return written
  }

  private bind(
    parameters: readonly ts.TypeParameterDeclaration[] = [],
    given: readonly ts.TypeNode[],
    substitutes: Substitutes,
  ): Substitutes {
    const bound = new Map<ts.Symbol, ts.TypeNode>()
    parameters.forEach((parameter, i) => {
      const argument = given[i] ? this.copy(given[i], substitutes) : parameter.default && this.copy(parameter.default, bound)
      if (argument) bound.set(this.checker.getSymbolAtLocation(parameter.name) as ts.Symbol, argument)
    })
    return bound
  }

  /** `keyof typeof CONSTANT` */
  private keys(node: ts.TypeOperatorNode): ts.TypeNode {
    const type = this.checker.getTypeAtLocation(node)
    const names = (type.isUnion() ? type.types : [type]).map((one) => (one as ts.StringLiteralType).value).sort()
    return ts.factory.createUnionTypeNode(names.map((name) => ts.factory.createLiteralTypeNode(ts.factory.createStringLiteral(name, true))))
  }

  /** With the members of those that it extends and that are not exported. */
  private wholeInterface(node: ts.InterfaceDeclaration, substitutes: Substitutes): ts.InterfaceDeclaration {
    const kept: ts.ExpressionWithTypeArguments[] = []
    const members: ts.TypeElement[] = []
    for (const type of node.heritageClauses?.[0]?.types ?? []) {
      const base = this.symbolOf(type.expression)
      const declaration = base?.declarations?.find(ts.isInterfaceDeclaration)
      if (!declaration || this.exported.has(base as ts.Symbol)) kept.push(type)
      else {
        const within = this.bind(declaration.typeParameters, type.typeArguments ?? [], substitutes)
        members.push(...this.wholeInterface(declaration, within).members.map((member) => this.copy(member, within)))
      }
    }
    if (members.length === 0) return node
    const heritage = kept.length > 0 ? [ts.factory.createHeritageClause(ts.SyntaxKind.ExtendsKeyword, kept)] : []
    return ts.factory.updateInterfaceDeclaration(node, node.modifiers, node.name, node.typeParameters, heritage, [
      ...members,
      ...node.members,
    ])
  }

  private wholeClass(node: ts.ClassDeclaration): ts.ClassDeclaration {
    const extended = node.heritageClauses?.find(({ token }) => token === ts.SyntaxKind.ExtendsKeyword)?.types[0]
    const base = extended && this.symbolOf(extended.expression)
    const declaration = base?.declarations?.find(ts.isClassDeclaration)
    if (!declaration || this.exported.has(base as ts.Symbol)) return node
    const { heritageClauses, members } = this.wholeClass(declaration)
    return ts.factory.updateClassDeclaration(node, node.modifiers, node.name, node.typeParameters, heritageClauses, [
      ...node.members,
      ...members.filter((member) => !ts.isConstructorDeclaration(member)),
    ])
  }

  private symbolOf(name: ts.Node): ts.Symbol | undefined {
    const symbol = this.checker.getSymbolAtLocation(name)
    return symbol && original(this.checker, symbol)
  }
}

/** `import('./x.js').Name<T>` as `Name<T>`. */
function withoutPath(node: ts.ImportTypeNode, visit: Visit): ts.TypeNode {
  const given = node.typeArguments?.map((argument) => visit(argument) as ts.TypeNode)
  return ts.factory.createTypeReferenceNode(visit(node.qualifier as ts.EntityName) as ts.EntityName, given)
}

function isPrivate(node: ts.Node): boolean {
  if (!ts.isClassElement(node)) return false
  const hidden = ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword)
  return hidden || (node.name !== undefined && ts.isPrivateIdentifier(node.name))
}
