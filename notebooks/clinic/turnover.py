"""An oral drug that inhibits the production of a biomarker (indirect response; Dayneka, Garzone and Jusko 1993)."""

from twinarm import System


def rates(t, y, p, u):
    """Derivatives of the amounts in gut and body (mg) and of the biomarker (% of its start), per hour."""
    conc = y.drug / p.V
    inhibition = p.imax * conc / (p.ic50 + conc)
    return (
        -p.ka * y.gut,
        p.ka * y.gut - p.CL / p.V * y.drug,
        p.kout * (100.0 * (1.0 - inhibition) - y.marker),
    )


STATES, PARAMETERS, INPUTS = ("gut", "drug", "marker"), ("ka", "CL", "V", "imax", "ic50", "kout"), ()
TURNOVER = System("turnover", STATES, PARAMETERS, INPUTS, rates, time_unit="hour")
