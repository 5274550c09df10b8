"""The one library in which every filter and tag of ours is registered."""

from django import template

register = template.Library()
