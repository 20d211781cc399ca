// PrismSimulation
