#!/usr/bin/env python3
"""Makes tests/data/chat.json: chat templates, conversations, and what Jinja prints for them as Hugging Face sets it up.

    python3 -m venv v && v/bin/pip install jinja2==3.1.6
    v/bin/python scripts/chat-vectors.py tests/data/chat.json

`chatml` is SmolLM2's template (Apache-2.0), `bitnet` and `roles` are those of BitNet b1.58 2B4T's two releases (MIT); the
others were written here, after the constructs that published templates use. A null stands for a refusal.
"""
import datetime
import json
import sys

import jinja2.ext
from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1720000000


def raise_exception(message):
    raise TemplateError(message)


def tojson(value, indent=None):
    return json.dumps(value, ensure_ascii=False, indent=indent)


env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
env.filters["tojson"] = tojson
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = lambda form: datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(form)


def render(template, messages, add_generation_prompt):
    context = {"bos_token": "<s>", "eos_token": "</s>", "tools": None, "documents": None}
    try:
        return env.from_string(template).render(messages=messages, add_generation_prompt=add_generation_prompt, **context)
    except Exception:
        return None


T = {}
T['chatml']="{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
T['bitnet']="{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{% if message['role'] == 'user' %}{{ 'Human: ' + message['content'] + '\n\nBITNETAssistant: ' + eos_token }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
T['roles']="{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}"
T['alternate']="""{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- if message['role'] == 'user' %}
        {%- if loop.first and system_message is defined %}
            {{- ' [INST] ' + system_message + '\\n\\n' + message['content'] + ' [/INST]' }}
        {%- else %}
            {{- ' [INST] ' + message['content'] + ' [/INST]' }}
        {%- endif %}
    {%- elif message['role'] == 'assistant' %}
        {{- ' ' + message['content'] + eos_token}}
    {%- else %}
        {{- raise_exception('Only user and assistant roles are supported') }}
    {%- endif %}
{%- endfor %}
"""
T['date']="""{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
T['constructs']="""{%- set ns = namespace(multi=true, last=messages|length - 1, found=[]) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi and message.role == "user" and message.content is string and not(message.content.startswith('<tool') and message.content.endswith('>')) %}
        {%- set ns.multi = false %}
        {%- set ns.last = index %}
        {%- set ns.found = ns.found + [index] %}
    {%- endif %}
{%- endfor %}
{{ ns.last }} {{ ns.found }} {{ ns.multi }} {{ none }}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if message.role == "assistant" %}
        {%- if '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {{- '[' + reasoning + ']' }}
        {%- endif %}
    {%- endif %}
    {{- message.role ~ ': ' ~ content.strip() ~ loop.index }}
    {%- if loop.last %} end{% endif %}
    {% if loop.index > 3 %}{% continue %}{% endif %}
    {{ message | tojson }} {{ message.content.upper() }} {{ message['content'][:5] }} {{ (message.items()|list)[0][0] }}
{% endfor %}
{{ {'a': [1, 2.5, none, true, 'x"y\\'z']} | tojson }} {{ {'a': [1, "b<é>"]} | tojson(indent=4) }}
{{ [1, 'a', none, true, {'k': 'v'}] }}
{{ messages | map(attribute='role') | join(', ') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}
{% macro m(x, y=2) %}<{{ x }}{{ y }}>{% endmacro %}{{ m('q') }}{{ m(x=1, y=3) }}
{{ 7 // 2 }} {{ 7 % 3 }} {{ 2 * 3 + 1 }} {{ 'ab' * 3 }} {{ -5 | abs }} {{ 'a' if false else 'b' }} {{ undefined_thing | default('d') }}
{{ 'x,y,z'.split(',') | last }} {{ 'Hello World' | replace('o', '0') | title }} {{ '  s ' | trim | length }} {{ [3,1,2] | sort | first }} {{ [1,2,3] | max }}
{%- if messages[0].role is in ['user', 'system'] and 'a' not in 'bcd' and 3 is divisibleby 3 %} yes{% endif %}
  {% if true %}
  indented
  {% endif %}
{% set x %}captured {{ 1 + 1 }}{% endset %}{{ x|upper }}
{{ "%s" if x is string else 'no' }}
"""
M=[[{'role':'user','content':'Hello'}],[{'role':'system','content':' Be brief. '},{'role':'user','content':'Hi\n"there"  '},{'role':'assistant','content':'<think>\nhm\n</think>\n\nYes é 🙂'},{'role':'user','content':'Why?\\n'}],[{'role':'assistant','content':'x'},{'role':'user','content':''}],[]]

CASES = [
    {"template": name, "messages": number, "add_generation_prompt": prompt, "text": render(template, messages, prompt)}
    for name, template in T.items()
    for number, messages in enumerate(M)
    for prompt in (False, True)
]
with open(sys.argv[1], "w") as file:
    json.dump({"now": NOW, "templates": T, "messages": M, "cases": CASES}, file, ensure_ascii=False, indent=0)
    file.write("\n")
