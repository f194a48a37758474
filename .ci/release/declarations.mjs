// The public types as one file that needs nothing else: neither the types of Node or of the DOM, nor those of optional
// packages.
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import ts from 'typescript';

/**
 * Every option may be given as `undefined`, which is its default, also where a project keeps that apart from leaving it
 * out.
 */
function orUndefined(text) {
  const source = ts.createSourceFile('index.d.ts', text, ts.ScriptTarget.Latest, true);
  const edits = [];
  const visit = (node) => {
    if (ts.isPropertySignature(node) && node.questionToken && node.type) {
      const type = node.type.getText(source);
      const isFunction = ts.isFunctionTypeNode(node.type);
      if (!/\| undefined$/.test(type)) {
        edits.push([node.type.getStart(source), node.type.end, `${isFunction ? `(${type})` : type} | undefined`]);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  // The last first, so that places stay; an option inside another one's type is none of ours.
  return edits
    .filter(([from, to]) => !edits.some((other) => other[0] < from && to < other[1]))
    .reverse()
    .reduce((result, [from, to, type]) => result.slice(0, from) + type + result.slice(to), text);
}

const HEAD = `/// <reference lib="es2022" />
/// <reference lib="esnext.disposable" />
`;
const TAIL = `
declare global {
  // Where neither the DOM nor @types/node declares it; elsewhere this adds nothing.
  interface AbortSignal {}
}
`;

/** The declarations behind `entry`, a compiled index.d.ts. Fails if they import anything but Node's streams. */
export async function declarations(entry) {
  const bundle = await rollup({
    input: entry,
    plugins: [dts({ respectExternal: false })],
    external: [/^node:/],
    onwarn(warning) {
      throw new Error(warning.message);
    },
  });
  const { output } = await bundle.generate({ format: 'es' });
  await bundle.close();
  const text = orUndefined(output[0].code);
  const imports = [...text.matchAll(/^import .*$/gm)].map(([line]) => line);
  const allowed = "import { Duplex } from 'node:stream';";
  const others = [...imports, ...text.matchAll(/\bimport\(.*?\)/g)].map(String).filter((line) => line !== allowed);
  if (others.length > 0) throw new Error(`the public types import ${others.join(' ')}`);
  return `${HEAD}${text.replace(allowed, `// @ts-ignore -- any without @types/node\n${allowed}`)}${TAIL}`;
}
