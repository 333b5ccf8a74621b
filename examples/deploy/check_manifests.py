# SPDX-License-Identifier: MPL-2.0
"""What kubernetes.yaml says twice is the same, and its times fit: check_manifests.py FILE"""
import sys
import yaml

objects = {each['kind']: each for each in yaml.safe_load_all(open(sys.argv[1]))}
versions = {'Deployment': 'apps/v1', 'Service': 'v1', 'PodDisruptionBudget': 'policy/v1'}
assert {kind: each['apiVersion'] for kind, each in objects.items()} == versions, objects.keys()

deployment = objects['Deployment']['spec']
pod = deployment['template']['spec']
labels = deployment['template']['metadata']['labels']
assert deployment['selector']['matchLabels'] == labels
assert objects['Service']['spec']['selector'] == labels
assert objects['PodDisruptionBudget']['spec']['selector']['matchLabels'] == labels

[container] = pod['containers']
ports = {port['name']: port['containerPort'] for port in container['ports']}
args = container['args']
for name, port in ports.items():
    assert any(arg.startswith(name + '://*:%d' % port) for arg in args), (name, args)
assert {port['targetPort'] for port in objects['Service']['spec']['ports']} == set(ports)

assert container['readinessProbe']['httpGet'] == container['startupProbe']['httpGet'] == {'path': '/health', 'port': 'ws'}
# While it drains the health path answers 503, which must not be taken for a death.
assert container['livenessProbe']['tcpSocket'] == {'port': 'ws'}

# preStop, the drain, STREAM_CLOSE_TIMEOUT of the profile PUBLIC, and some to spare.
[drain] = [int(arg[len('drain='):]) for arg in args if arg.startswith('drain=')]
[_, pause] = container['lifecycle']['preStop']['exec']['command']
assert pod['terminationGracePeriodSeconds'] >= int(pause) + drain / 1000 + 5 + 5
assert int(pause) > container['readinessProbe']['periodSeconds']
