// SPDX-License-Identifier: MPL-2.0

// Package check reads the manifests with the types of Kubernetes itself.
package check

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

const folder = ".."

// pods is what a workload says of its pods.
type pods struct {
	name     string
	selector map[string]string
	labels   map[string]string
	spec     *corev1.PodSpec
}

// manifests is everything that the files have.
type manifests struct {
	pods     []pods
	services []*corev1.Service
	budgets  []*policyv1.PodDisruptionBudget
	configs  map[string]bool
}

// object is what every manifest begins with.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name string `json:"name"`
	} `json:"metadata"`
}

// decode reads a document into a type, and refuses fields that it has not, and those that stand twice.
func decode[T any](text []byte) (*T, error) {
	value := new(T)
	return value, strict.UnmarshalStrict(text, value)
}

func (m *manifests) add(text []byte) error {
	var head object
	if err := strict.Unmarshal(text, &head); err != nil {
		return err
	}
	for _, wrong := range validation.IsDNS1123Subdomain(head.Metadata.Name) {
		return fmt.Errorf("the name %q: %s", head.Metadata.Name, wrong)
	}
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment":
		d, err := decode[appsv1.Deployment](text)
		if err == nil {
			m.workload(head.Metadata.Name, d.Spec.Selector, &d.Spec.Template)
		}
		return err
	case "apps/v1 StatefulSet":
		s, err := decode[appsv1.StatefulSet](text)
		for _, claim := range s.Spec.VolumeClaimTemplates {
			s.Spec.Template.Spec.Volumes = append(s.Spec.Template.Spec.Volumes, corev1.Volume{Name: claim.Name})
		}
		if err == nil {
			m.workload(head.Metadata.Name, s.Spec.Selector, &s.Spec.Template)
		}
		return err
	case "v1 Service":
		s, err := decode[corev1.Service](text)
		m.services = append(m.services, s)
		return err
	case "v1 ConfigMap":
		m.configs[head.Metadata.Name] = true
		_, err := decode[corev1.ConfigMap](text)
		return err
	case "policy/v1 PodDisruptionBudget":
		b, err := decode[policyv1.PodDisruptionBudget](text)
		m.budgets = append(m.budgets, b)
		return err
	}
	return fmt.Errorf("no type for %s of %s", head.Kind, head.APIVersion)
}

func (m *manifests) workload(name string, selector *metav1.LabelSelector, template *corev1.PodTemplateSpec) {
	p := pods{name: name, labels: template.Labels, spec: &template.Spec}
	if selector != nil {
		p.selector = selector.MatchLabels
	}
	m.pods = append(m.pods, p)
}

func read(t *testing.T) *manifests {
	t.Helper()
	m := &manifests{configs: map[string]bool{}}
	names, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(names) < 4 {
		t.Fatalf("%d manifests, %v", len(names), err)
	}
	for _, name := range names {
		if filepath.Base(name) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text))); ; {
			part := make([]byte, len(text))
			n, err := documents.Read(part)
			if err == io.EOF {
				break
			}
			if err == nil {
				err = m.add(part[:n])
			}
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(name), err)
			}
		}
	}
	return m
}

func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

// TestTypes: every field is one that Kubernetes has, of its type.
func TestTypes(t *testing.T) {
	m := read(t)
	if len(m.pods) != 4 || len(m.services) != 3 || len(m.budgets) != 3 || len(m.configs) != 2 {
		t.Errorf("%d workloads, %d services, %d budgets, %d configurations", len(m.pods), len(m.services), len(m.budgets), len(m.configs))
	}
}

// TestAWrongFieldIsFound: the check can fail.
func TestAWrongFieldIsFound(t *testing.T) {
	good := "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  selector: {app: a}\n"
	for text, want := range map[string]string{
		good:                                            "",
		good + "  typo: LoadBalancer\n":                 "unknown field",
		good + "  ports: {name: a}\n":                   "cannot unmarshal",
		good + "  selector: {app: b}\n":                 "already set",
		strings.Replace(good, "v1", "v2", 1):            "no type",
		strings.Replace(good, "name: a", "name: A_", 1): "the name",
	} {
		m := &manifests{configs: map[string]bool{}}
		err := m.add([]byte(text))
		if said := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(said, want) && want != "" {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestSelectors: workloads, services and budgets choose pods that are there.
func TestSelectors(t *testing.T) {
	m := read(t)
	chosen := func(selector map[string]string) *pods {
		for i := range m.pods {
			if matches(selector, m.pods[i].labels) {
				return &m.pods[i]
			}
		}
		return nil
	}
	for _, p := range m.pods {
		if !matches(p.selector, p.labels) {
			t.Errorf("%s does not choose its own pods", p.name)
		}
		for _, spread := range p.spec.TopologySpreadConstraints {
			if !matches(spread.LabelSelector.MatchLabels, p.labels) {
				t.Errorf("%s spreads the pods of another", p.name)
			}
		}
	}
	for _, b := range m.budgets {
		if chosen(b.Spec.Selector.MatchLabels) == nil {
			t.Errorf("the budget %s has no pods", b.Name)
		}
	}
	for _, s := range m.services {
		p := chosen(s.Spec.Selector)
		if p == nil {
			t.Errorf("the service %s has no pods", s.Name)
			continue
		}
		for _, port := range s.Spec.Ports {
			if !hasPort(p.spec, port.TargetPort) {
				t.Errorf("the service %s: no port %s", s.Name, port.TargetPort.String())
			}
		}
	}
}

func hasPort(spec *corev1.PodSpec, wanted intstr.IntOrString) bool {
	for _, c := range spec.Containers {
		for _, port := range c.Ports {
			if port.Name == wanted.StrVal || port.ContainerPort == wanted.IntVal {
				return true
			}
		}
	}
	return false
}

// TestPods: probes ask ports, and containers mount volumes, that are there; nothing runs as root.
func TestPods(t *testing.T) {
	m := read(t)
	for _, p := range m.pods {
		volumes := map[string]bool{}
		for _, v := range p.spec.Volumes {
			volumes[v.Name] = true
			if v.ConfigMap != nil && !m.configs[v.ConfigMap.Name] {
				t.Errorf("%s: no configuration %s", p.name, v.ConfigMap.Name)
			}
		}
		for _, c := range p.spec.Containers {
			for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				if probe != nil && !hasPort(p.spec, portOf(probe)) {
					t.Errorf("%s: a probe of %s has no port", p.name, c.Name)
				}
			}
			for _, mount := range c.VolumeMounts {
				if !volumes[mount.Name] {
					t.Errorf("%s: no volume %s", p.name, mount.Name)
				}
			}
			if s := c.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.ReadOnlyRootFilesystem == nil {
				t.Errorf("%s: %s may run as root", p.name, c.Name)
			}
			if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: %s says nothing about memory", p.name, c.Name)
			}
		}
	}
}

func portOf(p *corev1.Probe) intstr.IntOrString {
	if p.HTTPGet != nil {
		return p.HTTPGet.Port
	}
	return p.TCPSocket.Port
}
