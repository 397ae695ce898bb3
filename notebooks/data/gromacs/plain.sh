#!/bin/sh
# A GROMACS run as people have one, with the files that come with GROMACS: liquid ethanol or water at 298 K by OPLS-AA and
# TIP3P. It shows how a run of your own becomes a reference:
#
#     sh plain.sh LIQUID LENGTH_PS FOLDER       LIQUID: ethanol (200 molecules) or water (500)
#     cgcore import FOLDER/md.trr --topology FOLDER/topol.top --out reference/LIQUID
#
# FOLDER gets topol.top and md.trr: positions and forces, every ps. Started again after a kill it goes on.
set -eu
[ $# = 3 ] || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
case $1 in # edges by the densities, 785 and 997 kg/m3
  ethanol) molecules="ETH 200" edge=2.689 ;;
  water) molecules="SOL 500" edge=2.4657 ;;
  *) echo "no liquid '$1'; want ethanol or water" >&2; exit 2 ;;
esac
liquid=$1 steps=$(awk -v ps="$2" 'BEGIN {printf "%d", 1000 * ps}')
mkdir -p "$3"
cd "$3"

gmx() { command "${GMX:-gmx}" -nobackup -quiet "$@"; }

stage() { # NAME, the structure it starts from, its own lines of mdp
  [ -f "$1.gro" ] && return # mdrun writes it last
  if [ ! -f "$1.tpr" ]; then
    common="coulombtype = PME;rcoulomb = 1.0;rvdw = 1.0;DispCorr = EnerPres;nstxout = 1000;nstfout = 1000;nstenergy = 1000"
    echo "$common;$3" | tr ';' '\n' > "$1.mdp"
    gmx grompp -f "$1.mdp" -c "$2" -p topol.top -o part.tpr
    mv part.tpr "$1.tpr"
  fi
  gmx mdrun -deffnm "$1" -cpi "$1.cpt" ${MDRUN--ntmpi 1} # MDRUN= for a GROMACS with MPI
}

if [ ! -f start.gro ]; then
  if [ "$liquid" = ethanol ]; then
    cat > one.gro <<'END'
ethanol
    9
    1ETH      C    1   0.000   0.000   0.000
    1ETH      H    2  -0.036  -0.103   0.000
    1ETH      H    3  -0.036   0.051   0.089
    1ETH      H    4  -0.036   0.051  -0.089
    1ETH      C    5   0.151   0.000   0.000
    1ETH      H    6   0.187  -0.051   0.089
    1ETH      H    7   0.187  -0.051  -0.089
    1ETH     OA    8   0.199   0.134   0.000
    1ETH     HO    9   0.295   0.134   0.000
   1.0 1.0 1.0
END
  else
    cat > one.gro <<'END'
water
    3
    1SOL     OW    1   0.000   0.000   0.000
    1SOL    HW1    2   0.096   0.000   0.000
    1SOL    HW2    3  -0.024   0.093   0.000
   1.0 1.0 1.0
END
  fi
  gmx insert-molecules -ci one.gro -nmol "${molecules#* }" -box $edge $edge $edge -seed 1 -try 1000 -scale 0.4 -o part.gro
  mv part.gro start.gro
fi
[ "$liquid" = ethanol ] && itp=ethanol || itp=tip3p
printf '#include "oplsaa.ff/forcefield.itp"\n#include "oplsaa.ff/%s.itp"\n[ system ]\n%s\n[ molecules ]\n%s\n' \
  $itp "$liquid" "$molecules" > topol.top
thermostat="dt = 0.001;tcoupl = V-rescale;tc-grps = System;ref-t = 298"
stage em start.gro "integrator = steep;emtol = 500;nsteps = 5000"
stage melt em.gro "${thermostat% *} 500;tau-t = 0.1;gen-vel = yes;gen-temp = 500;gen-seed = 1;nsteps = 20000"
stage nvt melt.gro "$thermostat;tau-t = 0.1;gen-vel = yes;gen-temp = 298;gen-seed = 1;nsteps = 50000"
stage md nvt.gro "$thermostat;tau-t = 1.0;gen-vel = yes;gen-temp = 298;gen-seed = 2;nsteps = $steps"
