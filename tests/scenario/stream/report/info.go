// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// The settings of a run, all of them environment variables.
var settingNames = strings.Fields(`CCU SIZE INFLIGHT WARMUP MEASURE DRAIN_TIMEOUT HOLD CONNECT_CONCURRENCY
	CONNECT_TIMEOUT BACKLOG HWM SNDBUF RCVBUF IO_THREADS LATENCY_SAMPLE_RATE RATE BURST TRANSPORT CHECK ROUNDS`)

// info says where a run comes from.
type info struct {
	Started  string         `json:"started"`
	Commit   string         `json:"commit"`
	Command  string         `json:"command"`
	Settings map[string]any `json:"settings"`
	Machine  machine        `json:"machine"`
}

type machine struct {
	CPUs     int    `json:"cpus"`
	CPUModel string `json:"cpu_model"`
	MemoryKB int    `json:"memory_kb"`
	Kernel   string `json:"kernel"`
}

// infoHere describes this machine and the settings in the environment.
func infoHere() info {
	settings := map[string]any{}
	for _, name := range settingNames {
		text := os.Getenv(name)
		if number, err := strconv.ParseFloat(text, 64); err == nil {
			settings[name] = number
		} else {
			settings[name] = text
		}
	}
	kernel, _ := exec.Command("uname", "-sr").Output()
	memory, _ := strconv.Atoi(strings.TrimSuffix(procField("/proc/meminfo", "MemTotal"), " kB"))
	return info{
		Started:  os.Getenv("STARTED"),
		Commit:   os.Getenv("COMMIT"),
		Command:  os.Getenv("COMMAND"),
		Settings: settings,
		Machine: machine{
			CPUs:     runtime.NumCPU(),
			CPUModel: procField("/proc/cpuinfo", "model name"),
			MemoryKB: memory,
			Kernel:   strings.TrimSpace(string(kernel)),
		},
	}
}

// procField is the value of the first line that begins with name.
func procField(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// readInfo takes the description out of a run's summary.json. A run without
// that file has rows all the same: the description is empty then.
func readInfo(dir string) (info, error) {
	var i info
	path := filepath.Join(dir, "summary.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return i, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &i)
	}
	if err != nil {
		return i, fmt.Errorf("%s: %w", path, err)
	}
	return i, nil
}

func writeSummary(dir string, i info, s summary) error {
	text, err := json.MarshalIndent(struct {
		info
		Results []*result `json:"results"`
	}{i, s.results}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "summary.json"), append(text, '\n'), 0o644)
}
