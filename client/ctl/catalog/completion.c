/* pierre-dbctl completion bash|zsh: the completion script, with all methods and parameters of the
 * catalog. */
#include <stdio.h>
#include <string.h>

#include "../output.h"
#include "params.h"
#include "catalog.h"
#include "../ctl.h"

/* Prints `name=` for text, `name:=` for JSON, and a dotted name for each member of a parameter
 * object. */
static void print_word(const struct field *field, const char *prefix)
{
	switch ((enum type)field->type) {
	case TYPE_OBJECT:
		for (unsigned i = 0; i < field->member_count; i++)
			print_word(&field->members[i], field->path);
		return;
	case TYPE_NULL:
	case TYPE_ANY:
		return;
	case TYPE_ENUM:
		for (const char *const *value = field->enumeration->values; *value != NULL; value++)
			(void)printf(" %s%s%s=%s", prefix, *prefix != '\0' ? "." : "", field->name,
				*value);
		return;
	case TYPE_BOOL:
		(void)printf(" %s%s%s=true %s%s%s=false", prefix, *prefix != '\0' ? "." : "",
			field->name, prefix, *prefix != '\0' ? "." : "", field->name);
		return;
	default:
		(void)printf(" %s%s%s%s", prefix, *prefix != '\0' ? "." : "", field->name,
			params_takes_json(field) ? ":=" : "=");
	}
}

/* The options of each command, taken from its usage. */
static void print_options(void)
{
	(void)fputs("_pierre_dbctl_own() {\n\tcase $1 in\n", stdout);
	for (const struct command *const *family = command_families; *family != NULL; family++)
		for (const struct command *command = *family; command->name != NULL; command++) {
			const char *at = strstr(command->arguments, "--");

			if (at == NULL)
				continue;
			(void)printf("\t%s) echo \"", command->name);
			for (; at != NULL; at = strstr(at + 2, "--"))
				(void)printf(" %.*s", (int)strcspn(at, " ]"), at);
			(void)fputs("\" ;;\n", stdout);
		}
	(void)fputs("\tesac\n}\n", stdout);
}

static void print_words(void)
{
	(void)fputs("_pierre_dbctl_params() {\n\tcase $1 in\n", stdout);
	for (size_t i = 0; i < catalog_method_count; i++) {
		const struct method *method = &catalog_methods[i];

		if (method->param_count == 0)
			continue;
		(void)printf("\t%s) echo \"", method->name);
		for (unsigned j = 0; j < method->param_count; j++)
			print_word(&method->params[j], "");
		(void)fputs("\" ;;\n", stdout);
	}
	(void)fputs("\tesac\n}\n_pierre_dbctl_methods='", stdout);
	for (size_t i = 0; i < catalog_method_count; i++)
		(void)printf("%s%s", i > 0 ? " " : "", catalog_methods[i].name);
	(void)fputs("'\n_pierre_dbctl_commands='", stdout);
	for (const struct command *const *family = command_families; *family != NULL; family++)
		for (const struct command *command = *family; command->name != NULL; command++)
			(void)printf("%s%s",
				family == command_families && command == *family ? "" : " ",
				command->name);
	(void)fputs(" help'\n", stdout);
	print_options();
	(void)fputs("_pierre_dbctl_options='--socket --json --timeout --help --version'\n", stdout);
}

static const char bash_script[] =
	"_pierre_dbctl() {\n"
	"\tlocal line=${COMP_LINE:0:COMP_POINT} current words command='' method='' i\n"
	"\tread -r -a words <<<\"$line\"\n"
	"\tcurrent=\n"
	"\t[[ $line == *[[:space:]] ]] || current=${words[-1]}\n"
	"\tlocal count=${#words[@]}\n"
	"\t[[ -z $current ]] || count=$((count - 1))\n"
	"\tfor ((i = 1; i < count; i++)); do\n"
	"\t\tcase ${words[i]} in\n"
	"\t\t--socket | --timeout) i=$((i + 1)) ;;\n"
	"\t\t-*) ;;\n"
	"\t\t,) method='' ;;\n"
	"\t\t*) if [[ -z $command ]]; then command=${words[i]}\n"
	"\t\telif [[ -z $method ]]; then method=${words[i]}; fi ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tlocal candidates\n"
	"\tif [[ $current == -* ]]; then\n"
	"\t\tcandidates=\"$_pierre_dbctl_options $(_pierre_dbctl_own \"$command\")\"\n"
	"\telif [[ -z $command ]]; then candidates=$_pierre_dbctl_commands\n"
	"\telif [[ $command == help ]]; then candidates=$_pierre_dbctl_commands\n"
	"\telif [[ $command == completion ]]; then candidates='bash zsh'\n"
	"\telif [[ $command != call && $command != describe && $command != bench &&\n"
	"\t\t$command != transaction ]]; then\n"
	"\t\tcandidates=\n"
	"\telif [[ -z $method ]]; then candidates=$_pierre_dbctl_methods\n"
	"\telif [[ $command != describe ]]; then candidates=$(_pierre_dbctl_params \"$method\")\n"
	"\tfi\n"
	"\t# readline ends a word at = and : , so that the part before them must not be repeated\n"
	"\tlocal behind=${current##*[=:]} before\n"
	"\tbefore=${current%\"$behind\"}\n"
	"\tCOMPREPLY=()\n"
	"\tfor i in $candidates; do\n"
	"\t\t[[ $i == \"$current\"* ]] && COMPREPLY+=(\"${i#\"$before\"}\")\n"
	"\tdone\n"
	"\t[[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} == *= ]] &&\n"
	"\t\tcompopt -o nospace 2>/dev/null\n"
	"\treturn 0\n"
	"}\n"
	"complete -o default -F _pierre_dbctl pierre-dbctl\n";

static const char zsh_script[] =
	"_pierre_dbctl() {\n"
	"\tlocal command='' method='' i\n"
	"\tfor ((i = 2; i < CURRENT; i++)); do\n"
	"\t\tcase ${words[i]} in\n"
	"\t\t--socket | --timeout) i=$((i + 1)) ;;\n"
	"\t\t-*) ;;\n"
	"\t\t,) method='' ;;\n"
	"\t\t*) if [[ -z $command ]]; then command=${words[i]}\n"
	"\t\telif [[ -z $method ]]; then method=${words[i]}; fi ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tif [[ $PREFIX == -* ]]; then\n"
	"\t\tcompadd -- ${=_pierre_dbctl_options} $(_pierre_dbctl_own $command)\n"
	"\telif [[ -z $command || $command == help ]]; then compadd -- ${=_pierre_dbctl_commands}\n"
	"\telif [[ $command == completion ]]; then compadd -- bash zsh\n"
	"\telif [[ $command != call && $command != describe && $command != bench &&\n"
	"\t\t$command != transaction ]]; then _files\n"
	"\telif [[ -z $method ]]; then compadd -- ${=_pierre_dbctl_methods}\n"
	"\telif [[ $command != describe ]]; then compadd -S '' -- $(_pierre_dbctl_params $method)\n"
	"\tfi\n"
	"}\n"
	"if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _pierre_dbctl \"$@\"\n"
	"else compdef _pierre_dbctl pierre-dbctl; fi\n";

static int completion(struct ctl *ctl, int argc, char **argv)
{
	(void)ctl;
	if (argc == 2 && strcmp(argv[1], "bash") == 0) {
		print_words();
		(void)fputs(bash_script, stdout);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "zsh") == 0) {
		(void)fputs("#compdef pierre-dbctl\n", stdout);
		print_words();
		(void)fputs(zsh_script, stdout);
		return 0;
	}
	return output_fail(EX_USAGE, "completion requires the name of a shell: bash or zsh");
}

const struct command completion_commands[] = {
	{"completion", "bash|zsh", "Print the completion script for a shell",
		"Examples:\n"
		"  source <(pierre-dbctl completion bash)\n"
		"  pierre-dbctl completion zsh >~/.zfunc/_pierre-dbctl\n\n"
		"Both scripts are installed with the program.",
		completion},
	{0},
};
