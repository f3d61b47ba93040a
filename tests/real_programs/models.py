"""Programs of pydantic and attrs that make classes at run time."""

from typing import Generic, Optional, TypeVar

import attrs
import pydantic

Item = TypeVar("Item")


def model_per_call():
    """A model created per call, and a document that does not fit it."""
    leaf = pydantic.create_model("Leaf", name=(str, ...))
    tree = pydantic.create_model("Tree", __base__=leaf, children=(list[leaf], ...))
    assert tree.model_validate({"name": "root", "children": [{"name": "leaf"}]})
    try:
        tree.model_validate({"name": "root", "children": [{"name": 1}]})
    except pydantic.ValidationError as error:
        failure = error
    assert failure.error_count() == 1


def generic_models():
    """Generic models, validators and adapters declared in a function."""

    class Page(pydantic.BaseModel, Generic[Item]):
        items: list[Item]
        following: Optional["Page[Item]"] = None

        @pydantic.field_validator("items")
        @classmethod
        def not_empty(cls, items):
            if not items:
                raise ValueError("no items")
            return items

        @pydantic.computed_field
        @property
        def count(self) -> int:
            return len(self.items)

    page = Page[int](items=[1], following=Page[int](items=[2]))
    assert page.model_dump()["count"] == 1
    assert pydantic.TypeAdapter(list[Page[str]]).validate_python([{"items": ["a"]}])


def slotted_classes():
    """Classes in slots, declared in a function and linked both ways."""

    @attrs.define
    class Parent:
        children: list = attrs.field(factory=list)

        def add(self, child):
            self.children.append(child)
            return super().__setattr__("children", self.children)

    @attrs.define
    class Child:
        parent: Parent = attrs.field(validator=attrs.validators.instance_of(Parent))

        @parent.validator
        def _known(self, attribute, value):
            value.add(self)

    assert len(Child(Parent()).parent.children) == 1
