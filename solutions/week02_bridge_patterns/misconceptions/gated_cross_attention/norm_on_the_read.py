"""Misconception: The norm comes after the attention.

Tell: You norm what was read instead of the text that reads. Then every reading has the same size, and a
picture that keeps nothing no longer adds exactly nothing. The norm belongs before the attention.
Caught by: a_closed_gate_changes_nothing, an_open_gate_adds_the_read, a_negative_gate_subtracts_the_read,
the_mask_arrives_at_the_attention, only_what_is_read_is_normed, at_first_only_alpha_learns
"""

from course_lib.gated_cross_attention import GatedCrossAttention as Reference


class GatedCrossAttention(Reference):
    def forward(self, text, visual, visual_mask=None):
        read = self.norm(self.attention(text, visual, visual_mask))
        return text + self.alpha.tanh() * read
