package cli

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestGivenFlags: a flag or an argument that is given and empty is refused before
// anything is asked of the server.
func TestGivenFlags(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"send --site a --title x --to=", "--to is empty: leave it out, or set the variable that it is filled from"},
		{"send --site a --title x --to=_", "--to is empty"},
		{"send --site a --title x --at=", "--at is empty"},
		{"send --site a --title x --topic=", "--topic is empty"},
		{"send --site a --title x --topic news --topic=", "--topic is empty"},
		{"send --site a --title x --rate=", "--rate is empty"},
		{"send --site a --title x --vibrate=", "--vibrate"},
		{"send --site= --title x", "--site is empty: it must be the name of a site, such as shop.example.com, or set the variable"},
		{"send --site a --title=", "--title is empty: it must be the title of the notification"},
		{"messages --site=", "--site is empty: it must be the name of a site"},
		{"messages show --site= x", "--site is empty: it must be the name of a site"},
		{"popups run --site= x", "--site is empty: it must be the name of a site"},
		{"prompt reset --site=", "--site is empty: it must be the name of a site"},
		{"prompt --site=", "--site is empty: leave it out, or set"}, // which lists the sites
		{"send --site a --title x --body=", "--body is empty"},
		{"send --site a --title x --address=", "--address is empty"},
		{"send --site a --title x --topic news", ""},
		{"prompt set --site a --paths=", "--paths is empty"},
		{"prompt set --site a --consent=", "--consent is empty"},
		{"prompt set --site a --unset=", "--unset is empty"},
		{"prompt set --site a --title=", ""},
		{"messages --site a ~", "an argument is empty"},
		{"popups delete --site a ~", "an argument is empty"},
	} {
		ran := false
		root := &cobra.Command{Use: "webpush", SilenceErrors: true, SilenceUsage: true}
		c := new(command)
		root.PersistentFlags().StringVar(&c.address, "address", "", "")
		root.AddCommand(c.send(), c.messages(), c.popups(), c.prompt())
		root.PersistentPreRunE = checkGiven
		runInstead(root, func() { ran = true })
		args := strings.Fields(tt.line)
		for i := range args {
			args[i] = strings.NewReplacer("~", "", "_", " ").Replace(args[i])
		}
		root.SetArgs(args)
		root.SetOut(io.Discard)
		err := root.Execute()
		if tt.want == "" && (err != nil || !ran) || tt.want != "" && (ran || err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, ran %v; want %q", tt.line, err, ran, tt.want)
		}
	}
}

// runInstead puts run in the place of what the commands do.
func runInstead(cmd *cobra.Command, run func()) {
	for _, sub := range cmd.Commands() {
		sub.RunE = func(*cobra.Command, []string) error { run(); return nil }
		runInstead(sub, run)
	}
}

// whoAlone is "who" without a noun before it.
var whoAlone = regexp.MustCompile(`(?i)(^|[.;:(,] |\n|\b(only|than|all|those|or|also to|shows|erases|finds) )whom? |\bwhom\b`)

// TestHelpSaysPrompt: help texts use the glossary's words: "prompt" for the module's own question, and
// no "who" without a noun.
func TestHelpSaysPrompt(t *testing.T) {
	webpush := Command(nil)
	root := &cobra.Command{Use: "webpush", Short: webpush.Short, Long: webpush.Long}
	webpush.CobraFunc(root)
	flags := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		texts := []string{cmd.Short, cmd.Long, cmd.Example}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { flags++; texts = append(texts, f.Usage, mustBe[f.Name]) })
		for _, text := range texts {
			if strings.Contains(text, "question") || whoAlone.MatchString(text) {
				t.Errorf("%s: %q", cmd.CommandPath(), text)
			}
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if flags < 40 {
		t.Errorf("only %d flags", flags)
	}
}

// TestRequiredFlags: each required flag says what it must be.
func TestRequiredFlags(t *testing.T) {
	c := new(command)
	root := &cobra.Command{Use: "webpush"}
	root.AddCommand(c.send(), c.sites(), c.subscribers(), c.profiles(), c.messages(), c.prompt(), c.popups(), c.keys())
	found := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		look := func(f *pflag.Flag) {
			if _, required := f.Annotations[cobra.BashCompOneRequiredFlag]; required {
				if found++; mustBe[f.Name] == "" {
					t.Errorf("%s: --%s is required, and nothing says what it must be", cmd.CommandPath(), f.Name)
				}
			}
		}
		cmd.LocalFlags().VisitAll(look)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if found < 4 {
		t.Errorf("only %d required flags", found)
	}
}
