/** What `--help` says before the options. */

export const EXIT_CODES = `Exit codes: 0 nothing needs a person; 4 something does; 3 not everything could be looked at;
2 wrong usage, or nothing could be looked at.`;

export const DATABASES = `The participants' databases come from a JSON file (--config, TXN_CONFIG, or ./temporal-txn.json)
  { "databases": { "north-bank": "postgres://app:\${NORTH_BANK_PASSWORD}@db:5432/north_bank" } }
and from variables such as TXN_DATABASE_NORTH_BANK. Temporal is reached by TEMPORAL_ADDRESS and the like; it may be down.`;

export const HELP = `Finds distributed transactions that were left lying, says what to do about them, and does it.

  temporal-txn in-doubt                                          what waits, and what to type
  temporal-txn resolve transfer-4711 --by ann --reason 'worker is gone'     what would be done
  temporal-txn resolve transfer-4711 --by ann --reason 'worker is gone' --apply
  temporal-txn audit                                             is everything as it should be?
  temporal-txn show transfer-4711                                one transaction on one page; explain: in sentences
  temporal-txn timeline transfer-4711                            what happened when; also as SVG and Mermaid
  temporal-txn retry transfer-4711 --by ann --reason 'mended'    rule on what is held; also skip, compensate
  temporal-txn accept transfer-4711 --by ann --reason 'repaired by entry 17'     no longer a finding
  temporal-txn dead-letters                                      events that cannot be published
  temporal-txn circuits                                          what is not called now, and why
  temporal-txn setup                                             make a namespace ready for workers
  temporal-txn doctor                                            is everything set up and running?
  temporal-txn list --needs-attention                            what waits for a person

${DATABASES}

${EXIT_CODES}
`;

export const IN_DOUBT_HELP = `Lists the branches that are prepared, or lost, and not finished. Changes nothing.

  temporal-txn in-doubt
  temporal-txn in-doubt --all --json

Joins the prepared transactions of every database with the register of their decision and, if Temporal answers, with the
state of their coordinator. What belongs to others is named and left alone.

${EXIT_CODES}
`;

export const RESOLVE_HELP = `Brings one transaction to its decision. Without --apply it changes nothing and tells what it would do.

  temporal-txn resolve transfer-4711 --by ann --reason 'worker is gone'
  temporal-txn resolve transfer-4711 --by ann --reason 'worker is gone' --apply
  temporal-txn resolve txn1_… --by ann --reason 'bank confirmed by phone' --force commit --i-accept-heuristic --apply

Where nothing is decided, abort is proposed to the register (commit where a branch of three-phase commit knows that all have
voted for it); then every branch does what the register says. That is safe at any time. Only --force is not: it finishes one branch otherwise, and leaves a row in txn.heuristic, which the audit finds until
it is accepted.

Exit codes: 0 done, or there was nothing to do; 4 there is something to do (as after a dry run), or a person has to look (as
after --force); 3 not everything could be looked at; 2 wrong usage. Nothing was changed with 2.
`;

export const AUDIT_HELP = `Compares all registers, branch logs and prepared transactions. Changes nothing.

  temporal-txn audit
  temporal-txn audit --purged-after 90 --json

Can be run while transactions are under way: what looks wrong is looked at twice. What temporal-txn accept has recorded is a
note, and no finding.

${EXIT_CODES}
`;

export const ACCEPT_HELP = `Records that a person has looked at a branch that did otherwise than decided, and has put things right by other means or
lets it stand. Changes nothing else. Without --apply it changes nothing at all and tells what it would record.

  temporal-txn accept transfer-4711 --by ann --reason 'repaired by entry 17'
  temporal-txn accept transfer-4711 --branch credit --by ann --reason 'repaired by entry 17' --apply
  temporal-txn accept txn1_… --by ann --reason 'the customer keeps it' --apply

Only what temporal-txn audit finds can be accepted: a branch that was forced, that somebody finished by hand, or that is lost.
From then on the audit notes it, with your name and reason. Should the branch do something else later, it is found again.

Exit codes: 0 done, or it was accepted before; 4 there is something to accept (as after a dry run), or more of this transaction
needs a person; 3 not everything could be looked at; 2 wrong usage, or nothing to accept. Nothing was changed with 2.
`;

export const DEAD_LETTERS_HELP = `Lists the events that could not be published, and what is parked behind each. Changes nothing.

  temporal-txn dead-letters
  temporal-txn dead-letters orders --json

An event that cannot be published parks the events of its own key, in their order; all other keys go on.

${EXIT_CODES}
`;

export const DEAD_LETTER_HELP = `Settles one event that could not be published. Without --apply it changes nothing and tells what it would do.

  temporal-txn dead-letter orders order-1 --event-version 3 --retry --by ann --reason 'the topic exists now' --apply
  temporal-txn dead-letter orders order-1 --event-version 3 --skip --by ann --reason 'told by phone' --apply
  temporal-txn dead-letter orders order-1 --event-version 3 --data '{"total": 100}' --by ann --reason 'had no total' --apply

Exit codes: 0 done; 4 there is something to do (as after a dry run); 3 the database does not answer; 2 wrong usage, or no such
dead letter. Nothing was changed with 2 and 3.
`;

export const CIRCUITS_HELP = `Shows the circuits of the participants' workers: what they do not call now, since when, and who ruled so. Changes nothing.

  temporal-txn circuits
  temporal-txn circuits notifications --json

An open circuit is tried again by itself; an isolated one stays so until somebody closes it. The circuit called participant
stands for the participant's own database. Open circuits never put money in doubt: new work is not attempted, and what was
begun is still ended.

${EXIT_CODES}
`;

export const CIRCUIT_HELP = `Isolates or closes one circuit at all workers of a participant. Without --apply it changes nothing and tells what it would do.

  temporal-txn circuit notifications mail-server --isolate --by ann --reason 'migrating it' --apply
  temporal-txn circuit notifications mail-server --close --by ann --reason 'mail server is back' --apply

Workers look for rulings every few seconds, and when they start: those that start later obey the last one too.

Exit codes: 0 done; 4 there is something to do (as after a dry run); 3 the database does not answer; 2 wrong usage, or no such
circuit. Nothing was changed with 2 and 3.
`;

export const SETUP_HELP = `Registers the search attributes in the Temporal namespace. Those that are there stay as they are; nothing else is changed.

  temporal-txn setup --check
  temporal-txn setup --web-ui http://localhost:8233
  temporal-txn setup --migrate --config owners.json

With --migrate, schema txn of every configured database is brought up to date too. That needs the login of the role that owns
the schema, or may create it, which need not be that of the service: name a file with these logins. With --web-ui, or
TXN_WEB_UI, it prints links to the lists worth a saved view.

Exit codes: 0 done, or everything was there; 4 there is something to set up (as after --check), or a person has to look; 2 wrong
usage, or Temporal does not answer.
`;

export const DOCTOR_HELP = `Looks whether Temporal, the participants' databases and their workers are set up and at work. Changes nothing.

  temporal-txn doctor
  temporal-txn doctor --timeout 20 -o json

Each check says ok, warning, problem or not checked, what was found, and what to do about it. Participants are those of the
configured databases; each one's task queue has its name. A check that gets no answer in time is not checked.

${DATABASES}

Exit codes: 0 no problem, though there may be warnings; 4 a problem; 3 no problem, but not everything could be checked;
2 wrong usage.
`;

export const LIST_HELP = `Lists transactions as Temporal has them, running ones first, then the newest. Changes nothing.

  temporal-txn list --needs-attention
  temporal-txn list --status compensated --participant south-bank --since 2h
  temporal-txn list --query "WorkflowType = 'transferMoney'" --limit 100 --page 2

Protocol and failed step are known only of transactions that are, or were, anything but plainly running or committed. "(!)"
marks what waits for a person, "(group)" a workflow in which many transactions travel: temporal-txn show counts how they stand.

Exit codes: 0 nothing that is listed needs a person; 4 something does; 2 wrong usage, or Temporal does not answer.
`;

export const COMPLETION_HELP = `Prints a script that completes commands, options and their values.

  source <(temporal-txn completion bash)              in ~/.bashrc
  source <(temporal-txn completion zsh)               in ~/.zshrc, after compinit
  temporal-txn completion fish | source               in ~/.config/fish/config.fish
`;
