#!/bin/sh
# The study's own protocol by GROMACS (2021 or newer), for those who have it: energies and forces are those of
# `cgcore reference`, the thermostat and the time step are the study's.
#
#     sh run.sh SYSTEM LENGTH_NS FOLDER       SYSTEM: hexane, ala2, gly2, pro2, thr2 or ala15
#
# FOLDER gets solute.trr (positions and forces, molecules whole), topology.pdb and topol.top. Started again after it was
# killed, it skips what is finished and mdrun resumes from its checkpoint. Full frames of everything are written on the
# way, 24 bytes an atom.
set -eu
[ $# = 3 ] || { sed -n '5s/^# *//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
system=$1
mkdir -p "$3"
cd "$3"

gmx() { command "${GMX:-gmx}" -nobackup -quiet "$@"; }

stage() { # NAME, then what else grompp needs
  name=$1
  shift
  [ -f "$name.gro" ] && return # mdrun writes it last
  if [ ! -f "$name.tpr" ]; then
    gmx grompp -f "$name.mdp" -p topol.top -o part.tpr "$@"
    mv part.tpr "$name.tpr"
  fi
  gmx mdrun -deffnm "$name" -cpi "$name.cpt" -cpt 2 ${MDRUN--ntmpi 1} # MDRUN= for a GROMACS with MPI
}

if [ "$system" = hexane ]; then
  kind=liquid group=System start="$here/../hexane"
else
  kind=peptide group=Protein start="$here/../${system}_obc2"
fi
[ -f "$start/topology.pdb" ] || { echo "no system '$system'; want hexane, ala2, gly2, pro2, thr2 or ala15" >&2; exit 2; }
for mdp in "$here/$kind"/*.mdp; do [ -f "$(basename "$mdp")" ] || cp "$mdp" .; done
dt=$(awk '$1 == "dt" {print $3}' md.mdp)
steps=$(awk -v ns="$2" -v dt="$dt" 'BEGIN {printf "%.0f", 1000 * ns / dt}')
sed -i "s/^nsteps = .*/nsteps = $steps/" md.mdp
cp "$start/topology.pdb" .

if [ "$kind" = liquid ]; then
  cp "$here/../../../cgcore/reference/recipes/hexane.top" topol.top
  stage em -c topology.pdb
  stage melt -c em.gro
  stage nvt -c em.gro -t melt.cpt
  stage md -c nvt.gro -t nvt.cpt
else
  if [ ! -f start.gro ]; then
    # In GROMACS's own order a hydrogen of ACE would come before its carbon.
    gmx pdb2gmx -f topology.pdb -o solute.gro -p topol.top -i posre.itp -nosort -ff amber99sb-ildn -water tip3p
    gmx editconf -f solute.gro -o boxed.gro -bt cubic -c -d 1.2
    gmx solvate -cp boxed.gro -cs spc216.gro -p topol.top -o part.gro
    mv part.gro start.gro
  fi
  stage em -c start.gro
  stage nvt -c em.gro
  stage npt -c nvt.gro -t nvt.cpt
  # Production starts from the frame of npt's second half whose volume is nearest to the mean.
  echo Volume | gmx energy -f npt.edr -o npt.xvg
  time=$(awk '!/^[@#]/ {t[n] = $1; v[n++] = $2}
    END {for (i = int(n / 2); i < n; i++) mean += v[i] / (n - int(n / 2))
         for (i = int(n / 2); i < n; i++) {d = v[i] - mean; d *= d; if (best == "" || d < least) {least = d; best = t[i]}}
         print best}' npt.xvg)
  stage md -c npt.gro -t npt.trr -time "$time"
fi
echo "$group" | gmx trjconv -f md.trr -s md.tpr -o solute.trr -force -novel -pbc whole
