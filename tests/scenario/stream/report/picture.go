// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	_ "embed"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

//go:embed picture.html
var pictureText string

var pictureTemplate = template.Must(template.New("picture").Parse(pictureText))

// Chromium is asked to draw a page within this time.
const drawLimit = time.Minute

// chromium runs the browser without a window, on a page of ours, and returns
// what it prints.
func chromium(page string, args ...string) (string, error) {
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		return "", errors.New("no chromium in the PATH")
	}
	path, err := filepath.Abs(page)
	if err != nil {
		return "", err
	}
	home, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(home)
	ctx, cancel := context.WithTimeout(context.Background(), drawLimit)
	defer cancel()
	// --no-sandbox: root has no sandbox, and the page is our own.
	args = append([]string{"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--hide-scrollbars", "--user-data-dir=" + home, "--virtual-time-budget=4000"}, args...)
	run := exec.CommandContext(ctx, program, append(args, "file://"+path)...)
	run.WaitDelay = 5 * time.Second
	text, err := run.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return string(text), nil
}

var svgPattern = regexp.MustCompile(`(?s)<svg.*</svg>`)

// writePicture has Chromium draw the chart of the throughput and keeps the
// drawing as an SVG file.
func writePicture(path string, s summary, echarts string) error {
	c, ok := throughputChart(s)
	if !ok {
		return errors.New("no round of s2 passed: there is nothing to draw")
	}
	c.Title += ": " + s.constants(func(label string) bool { return label == "s2" })
	file, err := os.CreateTemp("", "picture*.html")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	err = pictureTemplate.Execute(file, struct {
		Chart   chart
		ECharts template.JS
	}{c, template.JS(echarts)})
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	dom, err := chromium(file.Name(), "--dump-dom")
	if err != nil {
		return err
	}
	svg := svgPattern.FindString(dom)
	if svg == "" {
		return errors.New("chromium drew no chart")
	}
	svg = strings.ReplaceAll(svg, "&nbsp;", "&#160;")
	if err := wellFormed(svg); err != nil {
		return fmt.Errorf("chromium's drawing is not XML: %w", err)
	}
	return os.WriteFile(path, []byte(svg+"\n"), 0o644)
}

func wellFormed(text string) error {
	for decoder := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
