"""What the grammar of chart shorthand writes, line by line: each line can be written, and then stands so annotated."""

import random
import re

import pytest
from shorthand.grammar import Grammar, make_rule
from shorthand.markup import Marked, parse_marked
from shorthand.notes import load_grammar

from kiwi_spacy.schema import load_schema

GRAMMAR, SCHEMA = load_grammar(), load_schema()
Words = dict[str, str | list[str]]
LASIX: Words = {"drug": "Lasix", "dose": "40mg", "amount": "strength", "route": "PO", "often": "BID"}
RAISED: Words = {**LASIX, "bare_dose": "20", "next_dose": "40 mg", "reaction": "AKI"}
NORCO: Words = {
    "drug_as_needed": "Norco", "dose": "5/325 mg", "amount": "strength", "route": "PO", "often": "q4-6h", "prn": "prn",
    "reason": "[problem pain]",
}
LANTUS: Words = {"drug_insulins": "Lantus", "dose": "20 units", "amount": "dosage", "route": "SC", "often": "qHS"}
HEPARIN: Words = {"drug_drips": "heparin", "dose": "1200 units/hr", "amount": "dosage", "drip": "gtt"}
KEFLEX: Words = {
    "drug_courses": "Keflex", "dose": "500 mg", "amount": "strength", "form": "cap", "route": "PO", "often": "BID",
    "reason": "[problem UTI]",
}
ALBUTEROL: Words = {
    "drug_inhaled": "albuterol", "dose": "90 mcg", "amount": "strength", "form": "MDI", "route": "INH", "often": "q4h",
    "prn": "prn", "reason": "[problem SOB]",
}
TEST: Words = {"lab": "K", "value": "5.9", "high": "5.9", "unit": "", "range": "3.5-5.1"}
FAMILY: Words = {"family_disease": ["MI", "lupus"], "relative": "Father", "relative_low": "sister", "age": "52"}

# The rule; the line as the guide annotates it; words that stand for the grammar's own.
LINES: list[tuple[str, str, Words]] = [
    ("med_usual", "[drug Lasix] [strength 40mg] [route PO] [frequency BID]", LASIX),
    ("med_prn", "[drug Norco] [strength 5/325 mg] [dosage 1-2] [form tabs] [route PO] [frequency q4-6h] [frequency prn] "
     "[problem pain]", NORCO),
    ("med_insulin", "[drug Lantus] [dosage 20 units] [route SC] [frequency qHS]", LANTUS),
    ("med_drip", "[drug heparin] [route gtt] at [dosage 1200 units/hr]", HEPARIN),
    ("med_change", "Increase [drug Lasix] from [strength 20] to [strength 40 mg] [frequency BID]",
     RAISED),
    ("med_change", "Stop [drug Lasix] due to [problem AKI]", RAISED),
    ("med_instruction", "[drug Keflex] [strength 500 mg]. Take [dosage 1] [form tablets] [route by mouth] [frequency BID] "
     "[duration for 10 days]", KEFLEX),
    ("med_course", "[drug Keflex] [strength 500 mg] [frequency BID] [duration x 7 days] for [problem UTI]",
     {**KEFLEX, "for_days": "x 7 days"}),
    ("med_inhaled", "[drug albuterol] [dosage 2 puffs] [frequency q4h] [frequency prn] [problem SOB]",
     ALBUTEROL),
    ("v_sat", "[test SpO2] [labvalue 92%] RA", {}),
    ("vital_other", "{[problem Pain] [severity 7/10]}", {}),
    ("lab_flag", "[test K] [labvalue 5.9 H] ([reference_range 3.5-5.1])", TEST),
    ("lab_trend", "[test Cr] [labvalue 1.1] -> [labvalue 1.8]", {"lab": "Cr", "value": ["1.1", "1.8"]}),
    ("lab_bare_row", "{[test K] [labvalue 5.9]} {[test K] [labvalue 5.9]} {[test K] [labvalue 5.9]}", TEST),
    ("lab_one", "[test TSH] [labvalue <0.01 mIU/L]", {"lab": "TSH", "value": "0.01", "unit": " mIU/L"}),
    ("result_word", "[test HIV] [labvalue negative]", {"screen": "HIV"}),
    ("result_urine", "[test UA]: {[labvalue trace] [test protein]}", {}),
    ("study_absent", "[test CXR] {[negation neg] for [problem effusion]}", {"study": "CXR", "unseen": "effusion"}),
    ("allergies", "[drug PCN] - [problem hives]", {"drug_allergens": "PCN", "reaction": "hives"}),
    ("allergies", "[problem Allergies]: [drug PCN] ([problem hives])", {"drug_allergens": "PCN", "reaction": "hives"}),
    ("allergy_plain", "NKDA", {}),
    ("family", "{[subject Father] with [problem MI] at 52}, {[subject sister] with [problem lupus]}", FAMILY),
    ("family_denied", "[negation No] [subject family] history of [problem gout]", {"family_disease": "gout"}),
    ("ros_mixed", "{[negation Denies] [problem fever], [problem fever] or [problem fever]} but reports [problem fever]",
     {"symptom": "fever"}),
    ("ros_signs", "+[problem cough], {[negation -][problem fever]}", {"symptom_word": ["cough", "fever"]}),
    ("ros_list", "[problem N]/[problem V]", {}),
    ("ros_box", "\\[x\\] [problem fever] {[negation \\[ \\]] [problem fever]} {[negation \\[ \\]] [problem fever]}",
     {"symptom_word": "fever"}),
    ("ros_slash", "{[negation No] [problem F]/[problem C]/[problem N]/[problem V]}", {}),
    ("ros_head", "{[negation Denies]: [problem fever], [problem fever], [problem fever]}", {"symptom": "fever"}),
    ("so_habit", "No tobacco, EtOH or drugs", {}),
    ("ros_none", "[problem Fever]: [negation none]", {"symptom": "fever"}),
    ("doubt_mark", "[uncertain ?][problem PE]", {"acute_disease": "PE"}),
    ("doubt_out", "[uncertain cannot rule out] [problem PE]", {"acute_disease": "PE"}),
    ("doubt_before", "[uncertain r/o] [problem PE]", {"acute_disease": "PE"}),
    ("ruled", "[problem PE] [negation ruled out]", {"acute_disease": "PE"}),
    ("case_should", "[condition Should] [problem fever] occur, call MD", {"warn": "[problem fever]"}),
    ("hx_op", "s/p [treatment CABG] [temporal 2015]", {"operation": "CABG", "year": "2015"}),
    ("because", "{[negation Not given] [drug Lasix]} because of [problem AKI]", {"drug": "Lasix", "contra": "AKI"}),
    ("others", "{[negation Denies] [problem rash]}; {[subject her mother] has [problem lupus]}",
     {"symptom": "rash", "denies_mark": "[negation Denies]", "sx_or_dx": "[problem lupus]"}),
    ("only", "not only [problem fever] but also [problem cough]", {"symptom": ["fever", "cough"]}),
    ("change", "[course No change] in [problem mass]", {"stable_finding": "mass"}),
    ("f_site", "[problem Pain in [bodyloc R knee]]", {"site_pain": "pain", "site": "R knee"}),
    ("f_site", "[problem [bodyloc LLL] pneumonia]", {"site_lung": "LLL"}),
    ("pr_deny", "She {[negation denies] [problem any fever] or [problem fever]}.", {"symptom": "fever"}),
    ("pr_family", "{[subject Her mother] had [problem stroke]}.", {"family_noun": "stroke"}),
    ("rad_compare", "[course No change] in [problem mass].", {"ss": "[problem mass]"}),
    ("re_stop", "Stop: [drug Lasix]", {**LASIX, "drug_courses": "Keflex", "reaction": "rash"}),
    ("n_time", "{[temporal 2130] - [problem fever]}", {"hour": "2130", "symptom": "fever"}),
]


def written(rule: str, text: str, words: Words) -> Marked:
    """Return the line `text` as the rule writes it with some words set; the first seed of some thousand that gives it."""
    fixed = {name: make_rule(name, [word] if isinstance(word, str) else word) for name, word in words.items()}
    specials = {name: special for name, special in GRAMMAR.specials.items() if name not in fixed}
    grammar = Grammar({**GRAMMAR.rules, **fixed}, specials)
    for seed in range(8000):
        line = parse_marked(grammar.grow(f"${rule}", random.Random(seed)), SCHEMA)
        if line.text == text:
            return line
    raise AssertionError(f"${rule} never wrote {text!r}")


@pytest.mark.parametrize("rule,line,words", LINES, ids=[re.sub(r"\[[a-z_]+ |[\]{}\\]", "", line) for _, line, _ in LINES])
def test_line_is_annotated_by_the_guide(rule: str, line: str, words: Words) -> None:
    expected = parse_marked(line, SCHEMA)
    assert written(rule, expected.text, words) == expected


def test_every_form_of_the_grammar_can_be_read() -> None:
    kinds = [name.removesuffix("_headings") for name in GRAMMAR.rules if name.endswith("_headings")]
    unread = []
    for name in kinds:
        for form in [*GRAMMAR.rules[name].forms, *GRAMMAR.rules[f"{name}_headings"].forms]:
            for seed in range(40):
                try:
                    parse_marked(GRAMMAR.grow(form, random.Random(seed)), SCHEMA)
                except ValueError as error:
                    unread.append(str(error))
    assert unread == []
