package conformance

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// This file reads what GitHub and Docker read, because nothing here can run it.

// repository is the root of the repository.
const repository = ".."

// readYAML reads a file of YAML, in which every name must be one that the target has.
func readYAML(t *testing.T, name string, target any) {
	t.Helper()
	file, err := os.Open(name)
	require.NoError(t, err)
	defer file.Close()
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	require.NoError(t, decoder.Decode(target), name)
}

// workflowFile has what the workflows of this repository use.
type workflowFile struct {
	Name        string
	On          map[string]any
	Permissions map[string]string
	Concurrency map[string]any
	Jobs        map[string]struct {
		RunsOn         string `yaml:"runs-on"`
		TimeoutMinutes int    `yaml:"timeout-minutes"`
		Needs          string
		Permissions    map[string]string
		Strategy       struct {
			FailFast bool `yaml:"fail-fast"`
			Matrix   map[string][]string
		}
		Steps []struct {
			Name, Uses, Run string
			With            map[string]any
			Env             map[string]string
		}
	}
}

var (
	action = regexp.MustCompile(`^actions/[a-z-]+@v\d+$`)
	script = regexp.MustCompile(`\.ci/[a-z]+`)
	module = regexp.MustCompile(`go -C (\S+)`)
)

func TestWorkflows(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(repository, ".github", "workflows", "*.yml"))
	require.NoError(t, err)
	require.Len(t, names, 3)
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			var w workflowFile
			readYAML(t, name, &w)
			assert.Equal(t, strings.TrimSuffix(filepath.Base(name), ".yml"), w.Name)
			assert.NotEmpty(t, w.On)
			assert.Equal(t, map[string]string{"contents": "read"}, w.Permissions)
			require.NotEmpty(t, w.Jobs)
			for id, job := range w.Jobs {
				assert.NotEmpty(t, job.RunsOn, id)
				assert.Positive(t, job.TimeoutMinutes, id)
				if job.Needs != "" {
					assert.Contains(t, w.Jobs, job.Needs)
				}
				require.NotEmpty(t, job.Steps, id)
				assert.Regexp(t, `^actions/checkout@`, job.Steps[0].Uses)
				for _, step := range job.Steps {
					if step.Run == "" {
						assert.Regexp(t, action, step.Uses, id)
					} else {
						assert.Empty(t, step.Uses, id)
						assertCommands(t, step.Run)
					}
				}
			}
		})
	}
}

// assertCommands checks that the scripts and the modules that a command names are there.
func assertCommands(t *testing.T, run string) {
	t.Helper()
	for _, name := range script.FindAllString(run, -1) {
		info, err := os.Stat(filepath.Join(repository, name))
		require.NoError(t, err)
		assert.NotZero(t, info.Mode()&0o100, "%s is not executable", name)
	}
	for _, match := range module.FindAllStringSubmatch(run, -1) {
		assert.FileExists(t, filepath.Join(repository, match[1], "go.mod"))
	}
}

func TestWorkflowsCoverTheSystems(t *testing.T) {
	var w workflowFile
	readYAML(t, filepath.Join(repository, ".github", "workflows", "test.yml"), &w)
	assert.Equal(t, "ubuntu-latest", w.Jobs["linux"].RunsOn)
	assert.Equal(t, []string{"windows-latest", "macos-latest"}, w.Jobs["others"].Strategy.Matrix["system"])
	assert.False(t, w.Jobs["others"].Strategy.FailFast)
}

// TestDependabotKnowsEveryModule finds modules whose dependencies would grow old.
func TestDependabotKnowsEveryModule(t *testing.T) {
	var config struct {
		Version int
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
			Schedule    struct{ Interval string }
			Groups      map[string]struct{ Patterns []string }
		}
	}
	readYAML(t, filepath.Join(repository, ".github", "dependabot.yml"), &config)
	assert.Equal(t, 2, config.Version)
	listed := map[string][]string{}
	for _, update := range config.Updates {
		assert.Contains(t, []string{"weekly", "monthly"}, update.Schedule.Interval)
		listed[update.Ecosystem] = slices.Concat(update.Directories, listed[update.Ecosystem])
		if update.Directory != "" {
			listed[update.Ecosystem] = append(listed[update.Ecosystem], update.Directory)
		}
	}
	assert.ElementsMatch(t, folders(t, "go.mod"), listed["gomod"])
	assert.ElementsMatch(t, folders(t, "Dockerfile"), listed["docker"])
	assert.Equal(t, []string{"/"}, listed["github-actions"])
}

// folders returns the folders that have a file of a name, as GitHub names them.
func folders(t *testing.T, file string) (found []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(repository, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != repository && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if entry.Name() == file {
			relative, err := filepath.Rel(repository, filepath.Dir(name))
			found = append(found, path.Join("/", filepath.ToSlash(relative)))
			return err
		}
		return nil
	}))
	return found
}

func TestIssueForms(t *testing.T) {
	folder := filepath.Join(repository, ".github", "ISSUE_TEMPLATE")
	names, err := filepath.Glob(filepath.Join(folder, "*.yml"))
	require.NoError(t, err)
	require.Len(t, names, 3)
	for _, name := range names {
		if filepath.Base(name) == "config.yml" {
			continue
		}
		var form struct {
			Name, Description string
			Labels            []string
			Body              []struct {
				Type, ID    string
				Attributes  struct{ Label, Description, Value, Render string }
				Validations struct{ Required bool }
			}
		}
		readYAML(t, name, &form)
		assert.NotEmpty(t, form.Name, name)
		assert.NotEmpty(t, form.Description, name)
		ids := map[string]bool{}
		for _, field := range form.Body {
			assert.Contains(t, []string{"markdown", "input", "textarea"}, field.Type, name)
			if field.Type == "markdown" {
				assert.NotEmpty(t, field.Attributes.Value, name)
				continue
			}
			assert.NotEmpty(t, field.Attributes.Label, name)
			assert.False(t, ids[field.ID], "%s: %s comes twice", name, field.ID)
			ids[field.ID] = true
		}
	}
	var config struct {
		Blank bool                                `yaml:"blank_issues_enabled"`
		Links []struct{ Name, URL, About string } `yaml:"contact_links"`
	}
	readYAML(t, filepath.Join(folder, "config.yml"), &config)
	assert.NotEmpty(t, config.Links)
}

// TestDockerfile holds the container of examples/server against go.mod and .dockerignore.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "examples", "server", "Dockerfile"))
	require.NoError(t, err)
	gomod, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(gomod)
	require.NotNil(t, version)
	for _, line := range []string{
		"FROM golang:" + string(version[1]) + " AS build",
		"FROM scratch",
		"USER 65532:65532",
		"EXPOSE 8080",
		`ENTRYPOINT ["/server", "-addr", "0.0.0.0:8080"]`,
	} {
		assert.Contains(t, strings.Split(string(text), "\n"), line)
	}

	ignored, err := os.ReadFile(filepath.Join(repository, ".dockerignore"))
	require.NoError(t, err)
	for line := range strings.Lines(string(ignored)) {
		pattern := strings.TrimSpace(line)
		if pattern == "" || strings.ContainsAny(pattern, "#*") {
			continue
		}
		assert.DirExists(t, filepath.Join(repository, pattern), ".dockerignore names it")
	}
}
