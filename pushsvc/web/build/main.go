// Command build bundles the browser side of pushsvc/web: the folders of src become
// the scripts and modules under dist. It needs no Node: esbuild runs as a Go
// library. Run it by `go generate ./pushsvc/web`; with -check it writes nothing
// and fails if a committed file differs from the build.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// placeholder is the free identifier that the server replaces by the config.
const placeholder = "__WEBPUSH_CONFIG__"

// entry maps a committed file to its entry point, both relative to the folder of
// package web.
type entry struct {
	out, in string
	form    form
}

// form is how browsers run a file.
type form int

const (
	script form = iota // one function that is called at once, with the config
	module             // an ES module without it
	plain              // as script, without it
)

var entries = []entry{
	{"dist/sdk.js", "src/sdk/main.ts", script},
	{"dist/sw.js", "src/sw/main.ts", script},
	{"dist/retire.js", "src/sdk/retire.ts", script},
	{"dist/retire-sw.js", "src/sw/retire.ts", script},
	{"dist/compat.js", "src/compat/main.ts", module},
	{"dist/onesignal.js", "src/onesignal/main.ts", module},
	{"dist/tell.js", "src/sw/tell.ts", plain},
	{"dist/ui.js", "src/ui/main.ts", module},
	{"dist/texts.js", "src/ui/texts.ts", module},
	{"dist/wait.js", "src/sdk/wait.ts", module},
	{"dist/join.js", "src/sdk/join.ts", module},
	{"dist/track.js", "src/track/main.ts", module},
	{"dist/trouble.js", "src/trouble/main.ts", module},
	{"dist/onsite.js", "src/onsite/main.ts", module},
	{"dist/popup.js", "src/popup/main.ts", module},
	{"dist/popup-more.js", "src/popup/more.ts", module},
	{"dist/popup-words.js", "src/popup/texts.ts", module},
	{"dist/frame.js", "src/frame/main.ts", plain},
}

func main() {
	check := flag.Bool("check", false, "compare with the committed files instead of writing them")
	dir := flag.String("C", ".", "folder of package web")
	flag.Parse()
	if err := run(*dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

// run builds every entry under dir and writes it, or with check compares it.
func run(dir string, check bool) error {
	for _, entry := range entries {
		code, err := bundle(dir, entry)
		if err != nil {
			return fmt.Errorf("bundling %s: %w", entry.in, err)
		}
		path := filepath.Join(dir, filepath.FromSlash(entry.out))
		if check {
			err = compare(path, code)
		} else {
			err = os.WriteFile(path, code, 0o644)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", entry.out, err)
		}
	}
	return nil
}

func compare(path string, want []byte) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the committed file: %w", err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("stale; run `go generate ./pushsvc/web` and commit the result")
	}
	return nil
}

// bundle returns the finished file of one entry point. It depends on nothing
// but the sources and the esbuild version: no paths, no tsconfig.
func bundle(dir string, e entry) ([]byte, error) {
	options := browserOptions(dir)
	want := 0
	switch e.form {
	case script:
		want = 1
	case module:
		moduleOptions(&options)
	case plain:
	}
	options.EntryPoints = []string{e.in}
	code, err := build(options)
	if err != nil {
		return nil, err
	}
	if n := bytes.Count(code, []byte(placeholder)); n != want {
		return nil, fmt.Errorf("%s occurs %d times, want %d", placeholder, n, want)
	}
	return code, nil
}

// moduleOptions turns browserOptions into those of a module. Engines with push and constructed
// style sheets know await at top level. ASCII here too: by the standard modules are UTF-8, but
// Chromium reads them with the server's charset.
func moduleOptions(options *api.BuildOptions) {
	options.Format = api.FormatESModule
	options.Target = api.ES2022
}

// browserOptions returns the options for one IIFE without any directive, which may
// follow another script, classic or module.
func browserOptions(dir string) api.BuildOptions {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir // esbuild then reports what is wrong with it
	}
	return api.BuildOptions{
		AbsWorkingDir:     abs,
		Bundle:            true,
		Format:            api.FormatIIFE,
		Platform:          api.PlatformBrowser,
		Target:            api.ES2020,
		Charset:           api.CharsetASCII,
		LegalComments:     api.LegalCommentsNone,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		TreeShaking:       api.TreeShakingTrue,
		TsconfigRaw:       `{"compilerOptions":{"useDefineForClassFields":false}}`,
		Plugins:           []api.Plugin{cssText()},
	}
}

func build(options api.BuildOptions) ([]byte, error) {
	result := api.Build(options)
	if len(result.Errors) > 0 {
		messages := api.FormatMessages(result.Errors, api.FormatMessagesOptions{})
		return nil, errors.New(strings.TrimSpace(strings.Join(messages, "")))
	}
	return result.OutputFiles[0].Contents, nil
}

// cssText makes `import css from "./x.css"` the minified text of that file, for
// constructed style sheets.
func cssText() api.Plugin {
	return api.Plugin{Name: "css-text", Setup: func(build api.PluginBuild) {
		build.OnLoad(api.OnLoadOptions{Filter: `\.css$`}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			source, err := os.ReadFile(args.Path)
			if err != nil {
				return api.OnLoadResult{}, fmt.Errorf("reading style sheet: %w", err)
			}
			result := api.Transform(string(source), api.TransformOptions{
				Loader:           api.LoaderCSS,
				MinifyWhitespace: true,
				MinifySyntax:     true,
				Charset:          api.CharsetASCII,
			})
			if len(result.Errors) > 0 {
				return api.OnLoadResult{Errors: result.Errors}, nil
			}
			text := strings.TrimSpace(string(result.Code))
			return api.OnLoadResult{Contents: &text, Loader: api.LoaderText}, nil
		})
	}}
}
