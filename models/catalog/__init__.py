"""What is declared: models, roles and environments, and what each name stands for now.

spec       one model of models.yaml
file       reads and checks models.yaml; `layers` lays one file over another
watch      follows the file while the service runs
roles      from a role or a name to a model; `resolved` is the result
names      which names that files hold can stand for a model
profiles   which models suit this machine, from profiles.yaml
"""
