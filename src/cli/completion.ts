/**
 * Completion for shells, made of the commands as commander knows them: what is added to one of them is completed without more ado.
 * The script holds everything, so pressing Tab starts no Node.
 */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The script for one shell. */
export function completionScript(program: Command, shell: Shell): string {
  const commands = program.commands.map(readCommand);
  switch (shell) {
    case 'bash':
      return forBash(program.name(), commands);
    case 'zsh':
      return forZsh(program.name(), commands);
    case 'fish':
      return forFish(program.name(), commands);
  }
}

interface Completed {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly CompletedOption[];
  /** Values of its first argument, where only certain ones are possible. */
  readonly arguments: readonly string[];
}

interface CompletedOption {
  /** Such as `-o` and `--output`. */
  readonly flags: readonly string[];
  readonly summary: string;
  readonly value: 'none' | 'any' | 'file' | readonly string[];
}

function readCommand(command: Command): Completed {
  return {
    name: command.name(),
    summary: command.summary(),
    options: [
      ...command.options.filter(({ hidden }) => !hidden).map(readOption),
      { flags: ['-h', '--help'], summary: 'display help for command', value: 'none' },
    ],
    arguments: command.registeredArguments[0]?.argChoices ?? [],
  };
}

function readOption(option: Option): CompletedOption {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined && flag !== null);
  const takes = option.required || option.optional;
  const value = /<file>/.test(option.flags) ? 'file' : (option.argChoices ?? 'any');
  return { flags, summary: option.description, value: takes ? value : 'none' };
}

const flagsOf = (options: readonly CompletedOption[]): string[] => options.flatMap(({ flags }) => flags);
const choicesOf = ({ value }: CompletedOption): readonly string[] | undefined =>
  typeof value === 'string' ? undefined : value;

const functionOf = (program: string): string => `_${program.replace(/[^a-z0-9]/g, '_')}`;

function forBash(program: string, commands: readonly Completed[]): string {
  const own = functionOf(program);
  const names = commands.map(({ name }) => name);
  return `# bash completion of ${program}. Load it with: source <(${program} completion bash)
${own}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command=\${COMP_WORDS[1]}
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${[...names, 'help', '--help', '--version'].join(' ')}' -- "$word"))
    return
  fi
  case "$command $before" in
${commands.flatMap((command) => command.options.flatMap((option) => bashValue(command, option))).join('\n')}
  esac
  case $command in
${commands.map((command) => `  ${command.name}) COMPREPLY=($(compgen -W '${[...flagsOf(command.options), ...command.arguments].join(' ')}' -- "$word")) ;;`).join('\n')}
  help) COMPREPLY=($(compgen -W '${names.join(' ')}' -- "$word")) ;;
  esac
}
complete -F ${own} ${program}`;
}

/** What follows an option that takes a value. */
function bashValue({ name }: Completed, option: CompletedOption): string[] {
  if (option.value === 'none') return [];
  const patterns = option.flags.map((flag) => `'${name} ${flag}'`).join(' | ');
  const choices = choicesOf(option);
  const reply =
    choices !== undefined
      ? `COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$word")); `
      : option.value === 'file'
        ? 'COMPREPLY=($(compgen -f -- "$word")); '
        : '';
  return [`  ${patterns}) ${reply}return ;;`];
}

function forZsh(program: string, commands: readonly Completed[]): string {
  const own = functionOf(program);
  return `#compdef ${program}
# zsh completion of ${program}. Load it with: source <(${program} completion zsh)
${own}() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary.replaceAll(':', '\\:')}`)}`).join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${commands.map(({ name, options, arguments: values }) => `  ${name}) _arguments ${[...options.flatMap(zshOption), values.length === 0 ? "'*:argument:'" : `'1:argument:(${values.join(' ')})'`].join(' ')} ;;`).join('\n')}
  esac
}
compdef ${own} ${program}`;
}

function zshOption(option: CompletedOption): string[] {
  const choices = choicesOf(option);
  const value =
    option.value === 'none'
      ? ''
      : choices !== undefined
        ? `:value:(${choices.join(' ')})`
        : option.value === 'file'
          ? ':file:_files'
          : ':value:';
  const told = option.summary.replaceAll(/([[\]:\\])/g, '\\$1');
  return option.flags.map((flag) => quoted(`${flag}[${told}]${value}`));
}

function forFish(program: string, commands: readonly Completed[]): string {
  return [
    `# fish completion of ${program}. Load it with: ${program} completion fish | source`,
    `complete -c ${program} -f`,
    ...commands.map(
      ({ name, summary }) => `complete -c ${program} -n __fish_use_subcommand -a ${name} -d ${quotedForFish(summary)}`,
    ),
    ...commands.flatMap(({ name, options, arguments: values }) => {
      const start = `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
      return [
        ...(values.length === 0 ? [] : [`${start} -a '${values.join(' ')}'`]),
        ...options.map((option) => `${start} ${fishOption(option)}`),
      ];
    }),
  ].join('\n');
}

function fishOption(option: CompletedOption): string {
  const choices = choicesOf(option);
  const flags = option.flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`));
  const value =
    option.value === 'none'
      ? ''
      : choices !== undefined
        ? ` -x -a '${choices.join(' ')}'`
        : option.value === 'file'
          ? ' -r -F'
          : ' -x';
  return `${flags.join(' ')}${value} -d ${quotedForFish(option.summary)}`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
const quotedForFish = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
