// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"time"
)

// script is a file of a package in npm's registry; its digest says that it is
// the one that is meant. What is in legal is kept beside it.
type script struct {
	pack, version string
	file          string
	sum           string
	legal         []string
}

// Apache ECharts (Apache-2.0) draws the charts of report.html.
var echartsScript = script{
	pack:    "echarts",
	version: "5.6.0",
	file:    "dist/echarts.common.min.js",
	sum:     "55974cf42cc160e6cf9099cd3ed8cdedfaa9779919fcee7e2272c85f6ca30e27",
	legal:   []string{"LICENSE", "NOTICE"},
}

const (
	fetchLimit   = time.Minute
	packageLimit = 64 << 20 // bytes; ECharts is 10 MB to load
)

// fetch puts the script into dir, unless it is there.
func (f script) fetch(dir string, npm npmSettings) error {
	target := filepath.Join(dir, path.Base(f.file))
	if text, err := os.ReadFile(target); err == nil && f.is(text) {
		return nil
	}
	registry, err := npm.registry()
	if err != nil {
		return err
	}
	archive, err := f.load(registry, npm)
	if err != nil {
		return fmt.Errorf("cannot load %s %s: %w", f.pack, f.version, err)
	}
	files, err := unpack(archive)
	if err != nil {
		return fmt.Errorf("%s %s: %w", f.pack, f.version, err)
	}
	if !f.is(files["package/"+f.file]) {
		return fmt.Errorf("%s of %s %s is not the file that is meant", f.file, f.pack, f.version)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range f.legal {
		if err := replaceFile(filepath.Join(dir, name), files["package/"+name]); err != nil {
			return err
		}
	}
	return replaceFile(target, files["package/"+f.file])
}

func (f script) is(text []byte) bool {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]) == f.sum
}

// load returns the package's archive. It lies where nearly every registry has
// it; one that has it elsewhere is asked.
func (f script) load(registry *url.URL, npm npmSettings) ([]byte, error) {
	client, err := npm.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
	defer cancel()
	token := npm.token(registry)
	archive, err := get(ctx, client, registry.JoinPath(f.pack, "-", f.pack+"-"+f.version+".tgz").String(), token)
	var status errStatus
	if !errors.As(err, &status) {
		return archive, err
	}
	about, err := get(ctx, client, registry.JoinPath(f.pack, f.version).String(), token)
	if err != nil {
		return nil, err
	}
	var where struct{ Dist struct{ Tarball string } }
	if err := json.Unmarshal(about, &where); err != nil {
		return nil, fmt.Errorf("%s: %w", registry.Host, err)
	}
	if place, err := url.Parse(where.Dist.Tarball); err != nil || place.Host != registry.Host {
		token = "" // it is for the registry alone
	}
	return get(ctx, client, where.Dist.Tarball, token)
}

// errStatus is an answer other than 200.
type errStatus struct{ where, status string }

func (e errStatus) Error() string { return e.where + ": " + e.status }

func get(ctx context.Context, client *http.Client, where, token string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errStatus{where, answer.Status}
	}
	return io.ReadAll(io.LimitReader(answer.Body, packageLimit))
}

// unpack returns the files of a .tgz.
func unpack(archive []byte) (map[string][]byte, error) {
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for reader := tar.NewReader(plain); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if header.Size > packageLimit {
			return nil, fmt.Errorf("%s has %d bytes", header.Name, header.Size)
		}
		if path.Ext(header.Name) == ".map" {
			continue // large, and of no use
		}
		if files[header.Name], err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	}
}

// replaceFile writes a file that is never half there.
func replaceFile(name string, text []byte) error {
	if err := os.WriteFile(name+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}
