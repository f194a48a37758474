/**
 * `recvae completion`: scripts by which shells complete commands, flags and the words that flags and arguments take.
 */
import { Argument, type Command, type Option } from 'commander';
import { allModels, description } from '../runtime/native.js';
import { quoted } from '../runtime/text.js';
import { print } from './output.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** A command as a shell sees it. */
interface Completed {
  name: string;
  what: string;
  flags: { names: string[]; what: string; takesValue: boolean; words: string[] }[];
  /** Words that the first argument may be. */
  first: string[];
}

/** Adds the command, which knows those before it. */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('print a script by which a shell completes commands, flags and their words')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .action(async (shell: (typeof SHELLS)[number]) => {
      const commands = program.commands.map((command) => completed(command, program.options));
      await print({ bash, zsh, fish }[shell](commands));
    });
}

function completed(command: Command, common: readonly Option[]): Completed {
  const flags = [...command.options, ...common.filter(({ long }) => long !== '--version')].map((option) => ({
    names: [option.long, option.short].filter((name) => name !== undefined && name !== null) as string[],
    what: option.description.split(/[.;:(]/)[0]!.trim(),
    takesValue: option.required || option.optional,
    words: wordsOf(option),
  }));
  const help = { names: ['--help', '-h'], what: 'show help', takesValue: false, words: [] };
  const [first] = command.registeredArguments;
  const isModel = first?.name() === 'model';
  const models = isModel ? allModels.map(({ name }) => name) : [];
  const sets =
    first?.name() === 'input' ? [...description.datasets, ...description.published.map(({ name }) => name)] : [];
  return {
    name: command.name(),
    what: command.description().split(/[;:]/)[0]!,
    flags: [...flags, help],
    first: [...(first?.argChoices ?? []), ...models, ...sets],
  };
}

/** The words that a flag may take: its choices, what stands as `a|b` in its argument, or the names of formats. */
function wordsOf({ argChoices, flags, long }: Option): string[] {
  if (argChoices) return [...argChoices];
  if (long === '--format') return description.formats.map(({ name }) => name);
  if (long === '--preset') return description.published.map(({ name }) => name);
  const [, words] = /<([^>]*\|[^>]*)>/.exec(flags) ?? [];
  return words?.split('|').filter((word) => /^[\w-]+$/.test(word)) ?? [];
}

function bash(commands: Completed[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  const flagsOf = commands.map(
    ({ name, flags }) => `    ${name}) flags=${quoted(flags.flatMap(({ names }) => names).join(' '))} ;;`,
  );
  const firstOf = commands
    .filter(({ first }) => first.length > 0)
    .map(({ name, first }) => `    ${name}) first=${quoted(first.join(' '))} ;;`);
  const words = commands.flatMap(({ name, flags }) =>
    flags
      .filter(({ words }) => words.length > 0)
      .flatMap(({ names, words }) => names.map((flag) => `    ${name}:${flag}) values=${quoted(words.join(' '))} ;;`)),
  );
  return `# bash completion for recvae: source <(recvae completion bash)
_recvae() {
  local word previous command flags first values position at
  word="\${COMP_WORDS[COMP_CWORD]}"
  previous="\${COMP_WORDS[COMP_CWORD - 1]}"
  command=
  position=0
  for ((at = 1; at < COMP_CWORD; at += 1)); do
    case "\${COMP_WORDS[at]}" in
    -*) ;;
    *)
      if [ -z "$command" ]; then command="\${COMP_WORDS[at]}"; position="$at"; fi
      ;;
    esac
  done
  COMPREPLY=()
  if [ -z "$command" ]; then
    COMPREPLY=($(compgen -W ${quoted(`${names} help --help --version --quiet --log`)} -- "$word"))
    return
  fi
  values=
  case "$command:$previous" in
${words.join('\n')}
  esac
  if [ -n "$values" ]; then
    COMPREPLY=($(compgen -W "$values" -- "$word"))
    return
  fi
  flags=
  case "$command" in
${flagsOf.join('\n')}
  esac
  first=
  case "$command" in
${firstOf.join('\n')}
  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif ((COMP_CWORD == position + 1)) && [ -n "$first" ]; then
    COMPREPLY=($(compgen -W "$first" -- "$word") $(compgen -f -- "$word"))
  fi
}
complete -o default -o bashdefault -F _recvae recvae
`;
}

function zsh(commands: Completed[]): string {
  // Brackets and colons mean something to _arguments.
  const plain = (text: string) => text.replace(/[[\]:\\]/g, ' ');
  const list = commands.map(({ name, what }) => `    ${quoted(`${name}:${plain(what)}`)}`);
  const cases = commands.map(({ name, flags, first }) => {
    const specs = flags.flatMap(({ names, what, takesValue, words }) =>
      names.map((flag) => {
        const value = takesValue ? `:value:${words.length > 0 ? `(${words.join(' ')})` : '_files'}` : '';
        return quoted(`*${flag}[${plain(what)}]${value}`);
      }),
    );
    const argument =
      first.length > 0 ? [quoted(`1: :{_alternative 'words:word:(${first.join(' ')})' 'files:file:_files'}`)] : [];
    return `    ${name})\n      _arguments -S ${[...specs, ...argument, quoted('*:file:_files')].join(' \\\n        ')}\n      ;;`;
  });
  return `#compdef recvae
# zsh completion for recvae: recvae completion zsh > "\${fpath[1]}/_recvae"
_recvae() {
  local -a commands
  commands=(
${list.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command="$words[2]"
  shift words
  ((CURRENT -= 1))
  case "$command" in
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = "_recvae" ]; then _recvae "$@"; else compdef _recvae recvae; fi
`;
}

function fish(commands: Completed[]): string {
  const text = (words: string) => `'${words.replace(/[\\']/g, '\\$&')}'`;
  const lines = commands.flatMap(({ name, what, flags, first }) => {
    const seen = text(`__fish_seen_subcommand_from ${name}`);
    return [
      `complete -c recvae -n __fish_use_subcommand -f -a ${name} -d ${text(what)}`,
      ...(first.length > 0 ? [`complete -c recvae -n ${seen} -a ${text(first.join(' '))}`] : []),
      ...flags.map(({ names, what, takesValue, words }) => {
        const [long, short] = [names.find((name) => name.startsWith('--')), names.find((name) => /^-\w$/.test(name))];
        return [
          `complete -c recvae -n ${seen}`,
          ...(long === undefined ? [] : [`-l ${long.slice(2)}`]),
          ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
          ...(words.length > 0 ? [`-x -a ${text(words.join(' '))}`] : takesValue ? ['-r'] : []),
          `-d ${text(what)}`,
        ].join(' ');
      }),
    ];
  });
  return `# fish completion for recvae: recvae completion fish > ~/.config/fish/completions/recvae.fish\n${lines.join('\n')}\n`;
}
